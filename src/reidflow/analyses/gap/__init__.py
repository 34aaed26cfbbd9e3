"""Each arm from the easiest setting to the hardest: validation, closed set, disjoint identities, other domains."""

from typing import TYPE_CHECKING

from reidflow.spec.plan import ranking_modules

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Gap"
CAPTION = "Each arm from the easiest setting to the experiment's own, and what each remedy changes in each setting."
INPUTS = ("metrics", "per_query", "also_on", "also_on_queries", "manifest", "results")
TABLES = ("gap", "lost")
FIGURES = {"gap": "Gap: mAP of each arm by setting", "remedies": "Gap: what each remedy changes"}


def applies(experiment: "Experiment") -> bool:
    """Return whether an experiment is one that this analyses."""
    return bool(experiment.also_on) and not experiment.file.score


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the components that `run` executes."""
    return ranking_modules(experiment)


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.gap import report

    return report.run(inputs)
