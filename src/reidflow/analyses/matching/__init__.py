"""Ranking by local features: what it adds to the embedding, what a query costs, and the matched keypoints behind answers."""

from typing import TYPE_CHECKING

from reidflow.spec.components import declared
from reidflow.spec.plan import ranking_modules

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Matching"
CAPTION = (
    "What ranking by local features adds, what a query costs, and the matched keypoints behind right and wrong answers."
)
INPUTS = ("runs", "local", "split", "manifest", "images", "masks", "mirrored", "per_query", "results")
TABLES = ("matching", "matching.keypoints", "matching.pairs", "matching.efficiency")
FIGURES = {"cost": "Gain of each arm against the time of a query"}
SHEETS = {
    "matches_found": "Right answers that the baseline misses",
    "matches_wrong": "Wrong answers",
    "matches_both": "Right answers of both",
}


def applies(experiment: "Experiment") -> bool:
    """Return whether the arms of an experiment differ in their ranking, and one ranks by local features.

    Not where individuals are kept out of the gallery: that experiment is about queries without a right answer.
    """
    if declared("split", experiment.division["split"]["name"], "NEW"):
        return False
    varied = any(path.split(".")[0] == "ranking" for path in experiment.file.varies)
    specs = [spec for arm in experiment.arms.values() for _, spec in arm.points]
    return varied and any(spec.ranking and spec.ranking.local for spec in specs)


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the components that `run` executes."""
    return ranking_modules(experiment)


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.matching import report

    return report.run(inputs)
