"""A search of hyperparameters or architectures: what was spent, what it found on test, and what mattered."""

from typing import TYPE_CHECKING

from reidflow.spec.quantities import Quantity

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


def quantities(experiment: "Experiment") -> list[Quantity]:
    """Return the gain at equal budget, where a study's budget is matched to that of another one."""
    meaning = "Balanced mAP of the search's winner minus that of the winner of the study with the matched budget."
    matched = any(study.matched_to for study in experiment.studies.values())
    return [Quantity("gain_at_equal_budget", "gain at equal budget", meaning, "higher", "signed")] if matched else []


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.search import report

    return report.run(inputs)
