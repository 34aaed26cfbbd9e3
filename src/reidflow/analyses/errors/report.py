"""The report: tables, findings and figures of one experiment."""

import numpy as np

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.errors import figures, tables
from reidflow.analyses.errors.findings import sections
from reidflow.evaluation.ranked_runs import shown_arms
from reidflow.ingest.manifest import MANIFEST
from reidflow.tables.experiment import RESULTS


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    layout, made = inputs.layout(), inputs.trained().runs
    shown = shown_arms(inputs.table("results", RESULTS))
    runs = {arm: [own for own in made if own.arm == arm] for arm in shown}
    images, masks = (np.load(inputs.files[name], mmap_mode="r") for name in ("images", "masks"))
    looks = tables.looks_of(layout, inputs.table("manifest", MANIFEST), images, masks)
    errors = tables.errors_table(inputs.experiment, layout, runs, looks, inputs.mirrored())
    return Report(
        tables={"errors": (errors, tables.ERRORS)},
        sections=sections(errors),
        figures={"errors": figures.errors(errors, inputs.heading("errors"))},
    )
