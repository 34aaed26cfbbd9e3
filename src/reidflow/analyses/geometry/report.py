"""Report on an experiment on geometries."""

import numpy as np

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.geometry import figures, tables
from reidflow.analyses.geometry.findings import sections
from reidflow.evaluation.runs import HISTORY, METRICS
from reidflow.ingest.manifest import MANIFEST
from reidflow.store.runs import RunStore


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    manifest, layout = inputs.table("manifest", MANIFEST), inputs.layout()
    metrics, history = inputs.table("metrics", METRICS), inputs.table("history", HISTORY)
    embedded = tables.embedded(inputs.experiment, metrics, layout, RunStore(inputs.store))
    images, masks = (np.load(inputs.files[name], mmap_mode="r") for name in ("images", "masks"))
    runs = tables.runs_table(embedded, layout, metrics, history)
    radii = tables.radii_table(embedded, layout, tables.sharpness_of(layout, manifest, images, masks))
    arms = tables.arms_table(inputs.experiment, runs, radii)
    return Report(
        tables={
            "geometry": (arms, tables.ARMS),
            "geometry_runs": (runs, tables.RUNS),
            "radii": (radii, tables.RADII),
        },
        sections=sections(arms, tables.features_of(layout, manifest, inputs.files["features"])),
        figures={
            "geodesic": figures.geodesic(arms, runs, inputs.heading("geodesic")),
            "radii": figures.radii(arms, radii, inputs.heading("radii")),
            "projections": figures.projections(tables.projections(embedded, layout), inputs.heading("projections")),
        },
    )
