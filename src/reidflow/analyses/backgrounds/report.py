"""Report on an experiment on backgrounds."""

from pathlib import Path

import numpy as np

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.backgrounds import figures, quantities, sheets
from reidflow.analyses.backgrounds.findings import sections
from reidflow.analyses.backgrounds.tables import RELIANCE, TESTED_MATRIX, background_tables, quantity_rows
from reidflow.evaluation.image_versions import TESTED_ON
from reidflow.ingest.manifest import MANIFEST
from reidflow.tables.arms import by_arm
from reidflow.tables.experiment import RESULTS

SHOWN = 12
"""Images on the sheet."""


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    probes = inputs.experiment.file.probes.model_dump()
    tested = by_arm(inputs.table("tested_on", TESTED_ON))
    matrix, reliance = background_tables(inputs.experiment, tested, probes)
    return Report(
        tables={"tested_on": (matrix, TESTED_MATRIX), "reliance": (reliance, RELIANCE)},
        quantities=quantity_rows(inputs.experiment, tested, reliance, quantities(inputs.experiment)),
        sections=sections(matrix, reliance, inputs.table("results", RESULTS), probes),
        figures={
            "tested_on": figures.tested_on(matrix, inputs.heading("tested_on")),
            "query_only": figures.query_only(matrix, inputs.heading("query_only")),
            "reliance": figures.reliance(reliance, inputs.heading("reliance")),
        },
        sheets={"interventions": lambda out: _draw_sheet(inputs, out)},
    )


def _draw_sheet(inputs: Inputs, out: Path) -> None:
    """Draw some images in all versions that the experiment tests on."""
    manifest = inputs.table("manifest", MANIFEST)
    rows = sheets.typical_and_hard(manifest, np.load(inputs.files["masks"], mmap_mode="r"), SHOWN)
    files = zip(inputs.experiment.file.tested_on, inputs.files["versions"], strict=True)
    versions = {label: np.load(path, mmap_mode="r") for label, path in files}
    captions = [f"{manifest['identity'][row]}\n{manifest['image'][row]}" for row in rows]
    sheets.interventions_sheet(versions, rows, captions, inputs.heading("interventions"), out)
