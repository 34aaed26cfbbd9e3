"""What each deduplication method finds, and what training without the duplicates changes."""

from typing import TYPE_CHECKING, Any

from reidflow.spec.plan import dedup_methods, subsets_of
from reidflow.spec.quantities import Quantity

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment
    from reidflow.spec.plan import Plan

TITLE = "Duplicates"
CAPTION = "Near-duplicates: what each method finds, what is dropped at each threshold and what that does to mAP, how training changes, and pairs to judge by eye."
INPUTS = ("pairs", "keep", "manifest", "split", "images", "truth", "results", "history")
TABLES = ("methods", "suspects", "dedup")
FIGURES = {
    "detection": "Duplicates: what each method finds",
    "thresholds": "Duplicates: share dropped and mAP by threshold",
    "dynamics": "Duplicates: training with and without them",
}
SHEETS = {
    "groups": "Duplicates: groups around the threshold",
    "suspects": "Duplicates: pairs with the labels of two identities",
}


def applies(experiment: "Experiment") -> bool:
    """Return whether an arm of the experiment drops duplicates."""
    return any(arm.spec.dedup for arm in experiment.arms.values() if not arm.winner_of)


def params(plan: "Plan", experiment: str) -> dict[str, Any]:
    """Return the methods with their thresholds, and the subset of each arm."""
    methods = dedup_methods(plan, plan.experiments[experiment])
    found = {key: {name: method[key] for name, method in methods.items()} for key in ("thresholds", "loosest")}
    return {
        "subsets": subsets_of(plan.experiments[experiment]),
        "methods": {name: method["method"] for name, method in methods.items()},
        **found,
    }


def quantities(experiment: "Experiment") -> list[Quantity]:
    """Return the share of images that is dropped, and how well the method finds planted copies, where they are known."""
    found = (
        "Harmonic mean of precision and recall of the pairs that the arm's method finds, against the planted copies."
    )
    return [
        Quantity("dropped", "images dropped", "Share of the training images that is dropped.", "higher", "share"),
        Quantity("f1", "F1 of planted copies", found, "higher"),
    ]


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.dedup import report

    return report.run(inputs)
