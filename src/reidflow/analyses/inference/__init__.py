"""Inference methods: what each adds to a trained run, for which queries, and what a query costs."""

from typing import TYPE_CHECKING

from reidflow.spec.canonical import canonical
from reidflow.spec.plan import ranking_modules
from reidflow.spec.quantities import Quantity

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Inference"
CAPTION = "The difference that each inference method makes, and which queries it helps and harms."
INPUTS = ("runs", "split", "manifest", "mirrored", "local", "per_query", "results", "comparisons")
TABLES = ("inference", "inference.efficiency")
FIGURES = {
    "methods": "Difference of each inference method from the baseline",
    "queries": "Average precision of queries before and after",
}


def applies(experiment: "Experiment") -> bool:
    """Return whether the arms of an experiment differ in inference or ensembles, and in nothing that is trained."""
    specs = [arm.spec for arm in experiment.arms.values() if not arm.winner_of]
    methods = {canonical([spec.inference, spec.plain()["ensemble"]]) for spec in specs}
    return set(experiment.file.varies) <= {"inference", "ensemble", "ranking"} and len(methods) > 1


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the components that `run` executes."""
    return ranking_modules(experiment)


def quantities(experiment: "Experiment") -> list[Quantity]:
    """Return the forward passes of an image: what an arm costs at the time of the ranking, on any machine."""
    meaning = "Forward passes of an image through a network: those of every run and of its mirror image."
    return [Quantity("forward_passes", "forward passes", meaning, "lower", "count")]


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.inference import report

    return report.run(inputs)
