"""Report on an experiment on augmentation."""

import json
from pathlib import Path

import numpy as np

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.augmentation import figures, sheets, tables
from reidflow.analyses.augmentation.findings import sections
from reidflow.evaluation.runs import METRICS
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.tables.experiment import RESULTS
from reidflow.training.augmented_samples import augmented, batch_rows

SHOWN, VERSIONS = 2, 7
"""Images on the sheet, and how often each is augmented."""


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    parts = tables.parts_table(inputs.experiment, inputs.table("results", RESULTS))
    picked = json.loads(Path(inputs.files["picked"]).read_text())
    metrics, tried = inputs.table("metrics", METRICS), inputs.table("strengths", METRICS)
    strengths = tables.strengths_table(inputs.experiment, picked, metrics, tried)
    return Report(
        tables={"parts": (parts, tables.PARTS), "strengths": (strengths, tables.STRENGTHS)},
        sections=sections(parts, strengths),
        figures={
            "parts": figures.part_effects(parts, inputs.heading("parts"), inputs.experiment.equivalence),
            "strengths": figures.strength_curves(strengths, inputs.heading("strengths")),
        },
        sheets={"augmented": lambda out: _draw_sheet(inputs, out)},
    )


def _draw_sheet(inputs: Inputs, out: Path) -> None:
    """Draw some training images as the network sees them in each arm."""
    manifest = inputs.table("manifest", MANIFEST)
    rows = batch_rows(manifest, inputs.table("split", SPLIT))
    pixels, masks = (np.load(inputs.files[name], mmap_mode="r")[rows] for name in ("images", "masks"))
    keys = [manifest["image"][row] for row in rows]
    specs = {name: arm.spec for name, arm in inputs.experiment.arms.items()}
    samples = {
        name: augmented(spec.augmentation, spec.model.size, pixels, masks, keys, shown=SHOWN, versions=VERSIONS)
        for name, spec in specs.items()
    }
    sheets.augmented_sheet(
        samples, {name: spec.augmentation for name, spec in specs.items()}, inputs.heading("augmented"), out
    )
