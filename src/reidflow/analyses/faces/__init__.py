"""A face competition: score of configurations and architectures, effect of single settings, automatic choices."""

from typing import TYPE_CHECKING

from reidflow.spec.plan import ranking_modules

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Faces"
CAPTION = "The competition's score by learning rate, epochs, single settings and time."
INPUTS = ("runs", "split", "manifest", "mirrored", "metrics", "also_on", "results", "efficiency")
TABLES = ("configurations", "configurations.efficiency", "architectures", "ablation", "choices.efficiency")
FIGURES = {
    "score_by_rate": "Score by learning rate",
    "score_by_epochs": "Score by epochs",
    "score_ablation": "Effect of single settings on the score",
    "score_per_minute": "Score per minute",
    "score_by_time": "Score by time",
}


def applies(experiment: "Experiment") -> bool:
    """Return whether an experiment has a competition score."""
    return bool(experiment.file.score)


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the components that `run` executes."""
    return ranking_modules(experiment)


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.faces import report

    return report.run(inputs)
