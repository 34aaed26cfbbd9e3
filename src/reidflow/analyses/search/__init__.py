"""A search of hyperparameters or architectures: what was spent, what it found on test, and what mattered."""

from typing import TYPE_CHECKING

from reidflow.spec.quantities import Quantity

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Search"
CAPTION = "The search: its trials and how it advanced, what each axis decides, and the score by cost. All of it on validation; the winners' test scores stand in the experiment's table."
INPUTS = ("trials", "trials_efficiency", "winners", "results", "comparisons")
TABLES = ("search", "search.efficiency", "budgets", "progress", "importances", "effects")
FIGURES = {
    "progress": "Search: best validation mAP so far",
    "slices": "Search: validation mAP along each axis",
    "parallel": "Search: all trials",
    "importances": "Search: what each axis decides",
    "effects": "Search: effect of each choice",
    "front": "Search: validation mAP by cost",
}
AT_STEPS = "gain_at_equal_steps"
AT_FLOPS = "gain_at_equal_flops"


def applies(experiment: "Experiment") -> bool:
    """Return whether an experiment searches hyperparameters or architectures."""
    return bool(experiment.studies)


def quantities(experiment: "Experiment") -> list[Quantity]:
    """Return the gains at equal steps and at equal FLOPs, where a study's budget is matched to that of another one."""
    if not any(study.matched_to for study in experiment.studies.values()):
        return []
    on_test = "Balanced mAP on test of the search's winner minus that of the winner of the study that takes as many optimizer steps."
    validated = (
        "Best validation mAP of the search minus that of the study with the matched steps, each within the training FLOPs "
        "that both spent; includes luck, and was not measured on test."
    )
    return [
        Quantity(AT_STEPS, "gain at equal steps", on_test, "higher", "signed"),
        Quantity(AT_FLOPS, "validation gain at equal training FLOPs", validated, "higher", "signed"),
    ]


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.search import report

    return report.run(inputs)
