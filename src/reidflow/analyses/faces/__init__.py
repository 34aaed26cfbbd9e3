"""A face competition: score of configurations and architectures, effect of single settings, automatic choices."""

from typing import TYPE_CHECKING

from reidflow.spec.plan import ranking_modules
from reidflow.spec.quantities import Quantity

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Faces"
CAPTION = "The competition's score by learning rate, epochs, single settings and time."
INPUTS = (
    "runs", "split", "manifest", "mirrored", "local", "metrics", "per_query", "also_on", "also_on_queries", "results", "efficiency",
)  # fmt: skip
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


def quantities(experiment: "Experiment") -> list[Quantity]:
    """Return the competition's score, and the mAP on each further split, such as individuals that were never trained on."""
    weights = ", ".join(f"{weight:g} {key.replace('top', 'top-')}" for key, weight in experiment.file.score.items())
    return [
        Quantity("score", "competition score", f"Sum of {weights}: shares of the queries.", "higher", "number1"),
        *(
            Quantity(label, f"mAP on {label}", f"Balanced mAP of the arm trained and tested on '{label}'.", "higher")
            for label in experiment.also_on
        ),
    ]


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.faces import report

    return report.run(inputs)
