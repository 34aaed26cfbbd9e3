"""The report: tables, findings and figures of one experiment."""

from pathlib import Path

import numpy as np

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.backgrounds import figures, sheet
from reidflow.analyses.backgrounds.tables import RELIANCE, TESTED_MATRIX, report
from reidflow.evaluation.image_versions import TESTED_ON
from reidflow.ingest.manifest import MANIFEST
from reidflow.tables.arms import by_arm
from reidflow.tables.experiment import RESULTS

SHOWN = 12
"""Images on the sheet."""


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    tested = by_arm(inputs.table("tested_on", TESTED_ON))
    probes = inputs.experiment.file.probes.model_dump()
    matrix, reliance, sections = report(inputs.experiment, tested, inputs.table("results", RESULTS), probes=probes)
    heading = inputs.heading
    return Report(
        tables={"tested_on": (matrix, TESTED_MATRIX), "reliance": (reliance, RELIANCE)},
        sections=sections,
        figures={
            "tested_on": lambda out: figures.draw_tested_on(matrix, heading, out),
            "query_only": lambda out: figures.draw_query_only(matrix, heading, out),
            "reliance": lambda out: figures.draw_reliance(reliance, heading, out),
        },
        sheets={"interventions": lambda out: _draw_sheet(inputs, out)},
    )


def _draw_sheet(inputs: Inputs, out: Path) -> None:
    """Draw some images in all versions that the experiment tests on."""
    manifest = inputs.table("manifest", MANIFEST)
    rows = sheet.choose(manifest, np.load(inputs.files["masks"], mmap_mode="r"), SHOWN)
    labels = inputs.experiment.file.tested_on
    versions = {
        label: np.load(path, mmap_mode="r") for label, path in zip(labels, inputs.files["versions"], strict=True)
    }
    captions = [f"{manifest['identity'][row]}\n{manifest['image'][row]}" for row in rows]
    sheet.draw(versions, rows, captions, inputs.heading, out)
