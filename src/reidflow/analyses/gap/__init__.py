"""Each arm on every split of its experiment: from the easiest condition to the experiment's own, and what remedies change."""

from typing import TYPE_CHECKING

from reidflow.spec.plan import ranking_modules
from reidflow.spec.quantities import Quantity

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Gap"
CAPTION = "mAP of each arm from the easiest condition to the experiment's own, and what each remedy changes in each."
INPUTS = ("metrics", "per_query", "also_on", "also_on_queries", "manifest", "results")
TABLES = ("gap", "lost")
FIGURES = {"gap": "mAP of each arm in each condition", "remedies": "What each remedy changes in each condition"}


def applies(experiment: "Experiment") -> bool:
    """Return whether an experiment is trained and tested on further splits."""
    return bool(experiment.also_on) and not experiment.file.score


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the components that `run` executes."""
    return ranking_modules(experiment)


def quantities(experiment: "Experiment") -> list[Quantity]:
    """Return the mAP on each further split."""
    return [
        Quantity(
            label, f"mAP on {label}", f"Balanced mAP of the arm trained and tested on the split '{label}'.", "higher"
        )
        for label in experiment.also_on
    ]


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.gap import report

    return report.run(inputs)
