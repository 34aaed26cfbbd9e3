"""Which training images are worth keeping: mAP by the share kept, against all images and against random ones."""

from typing import TYPE_CHECKING, Any

from reidflow.spec.plan import subsets_of
from reidflow.spec.quantities import Quantity

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment
    from reidflow.spec.plan import Plan

TITLE = "Curation"
CAPTION = "Selection of training images: mAP by the share of images kept, and which images each method keeps and drops."
INPUTS = ("keep", "scores", "manifest", "images", "results", "efficiency", "metrics", "per_query")
TABLES = ("curation",)
FIGURES = {
    "shares": "Curation: mAP by the share of images kept",
    "distributions": "Curation: scores of kept and dropped images",
}
SHEETS = {
    "valuable": "Curation: the most and the least valuable images",
    "scores": "Curation: the highest and the lowest of each score",
}


def applies(experiment: "Experiment") -> bool:
    """Return whether an arm of the experiment selects training images."""
    return any(arm.spec.curation for arm in experiment.arms.values() if not arm.winner_of)


def params(plan: "Plan", experiment: str) -> dict[str, Any]:
    """Return the subset of each arm, which names its keep list."""
    return {"subsets": subsets_of(plan.experiments[experiment])}


def quantities(experiment: "Experiment") -> list[Quantity]:
    """Return the mAP by the optimizer steps that it took."""
    meaning = "Balanced mAP divided by the hundreds of optimizer steps of the training."
    return [Quantity("map_per_step", "mAP per 100 steps", meaning, "higher")]


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.curation import report

    return report.run(inputs)
