"""A search of hyperparameters or architectures: what was spent, what it found on test, and what mattered."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Search"
CAPTION = "The search: its trials and how it advanced, what each axis decides, and the score by cost. All of it on validation; the winners' test scores stand in the experiment's table."
INPUTS = ("trials", "trials_efficiency", "winners", "results", "comparisons")
TABLES = ("search", "search.efficiency", "progress", "importances", "effects")
FIGURES = {
    "progress": "Search: best validation mAP so far",
    "slices": "Search: validation mAP along each axis",
    "parallel": "Search: all trials",
    "importances": "Search: what each axis decides",
    "effects": "Search: effect of each choice",
    "front": "Search: validation mAP by cost",
}


def applies(experiment: "Experiment") -> bool:
    """Return whether an experiment searches hyperparameters or architectures."""
    return bool(experiment.studies)


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.search import report

    return report.run(inputs)
