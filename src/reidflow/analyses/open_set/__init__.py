"""Queries of individuals that the gallery does not hold: whether a threshold keeps its promise, its cost, the unknowns."""

from typing import TYPE_CHECKING

from reidflow.spec.components import declared
from reidflow.spec.plan import ranking_modules
from reidflow.spec.quantities import Quantity

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "New individuals"
CAPTION = (
    "Queries of individuals that are not in the gallery: promised and measured rates of false matches, ROC, risk against "
    "coverage, and the unknowns put together into suspected individuals."
)
INPUTS = ("runs", "results", "manifest", "split", "mirrored", "local", "images")
TABLES = ("open_set", "promises", "curves", "linking", "unknowns")
FIGURES = {
    "roc": "New individuals: true against false matches",
    "risk": "New individuals: wrong answers by the share that is answered",
    "promises": "New individuals: rate of false matches, promised and measured",
}
SHEETS = {"unknowns": "New individuals: suspected individuals among the queries called new"}
FILES = ("decisions.json",)


def applies(experiment: "Experiment") -> bool:
    """Return whether the experiment's split keeps individuals out of the gallery."""
    return bool(declared("split", experiment.division["split"]["name"], "NEW"))


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the components that `run` executes."""
    return ranking_modules(experiment)


def quantities(experiment: "Experiment") -> list[Quantity]:
    """Return what this analysis measures of an experiment."""
    return [
        Quantity("auroc", "AUROC", "Probability that a query of a known individual has a better best candidate than one of a new individual.", "higher"),
        Quantity("baks", "BAKS", "Share of the queries of known individuals that are answered with the right one, at the promised rate of false matches.", "higher"),
        Quantity("baus", "BAUS", "Share of the queries of new individuals that are called new, at the promised rate of false matches.", "higher"),
    ]  # fmt: skip


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.open_set import report

    return report.run(inputs)
