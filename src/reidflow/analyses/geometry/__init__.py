"""The spaces that arms embed in: stability, distance from the origin, and how identities lie in them."""

from typing import TYPE_CHECKING

from reidflow.spec.canonical import canonical
from reidflow.spec.plan import modules as modules_of

if TYPE_CHECKING:
    from reidflow.analyses.analysis import Inputs, Report
    from reidflow.spec.experiment import Experiment

TITLE = "Geometry"
CAPTION = "The spaces compared: ranked by their own distance and by the cosine, how far from the origin embeddings lie, and how identities lie in them."
INPUTS = ("metrics", "history", "manifest", "split", "images", "masks", "features")
TABLES = ("geometry", "geometry_runs", "radii")
FIGURES = {
    "geodesic": "Geometry: mAP by the space's distance and by the cosine",
    "radii": "Geometry: distance from the origin",
    "projections": "Geometry: identities in each space",
}


def applies(experiment: "Experiment") -> bool:
    """Return whether the arms differ in their geometry."""
    specs = [arm.spec for arm in experiment.arms.values() if not arm.winner_of]
    return len({canonical(spec.model.geometry) for spec in specs}) > 1


def modules(experiment: "Experiment") -> list[str]:
    """Return the modules of the components that `run` executes."""
    specs = [spec for arm in experiment.arms.values() for spec in arm.specs]
    # Features are measured by the Euclidean distance, whatever the arms' geometries.
    used = [{"name": "euclidean"}, *(spec.model.geometry for spec in specs)]
    return modules_of(*(("geometry", geometry) for geometry in used))


def run(inputs: "Inputs") -> "Report":
    """Return the report on an experiment."""
    from reidflow.analyses.geometry import report

    return report.run(inputs)
