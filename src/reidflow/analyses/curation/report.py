"""Report on a curation experiment."""

import numpy as np

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.curation import figures, sheets, tables
from reidflow.analyses.curation.findings import sections
from reidflow.tables.experiment import EFFICIENCY, RESULTS


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    found = tables.read_curation(inputs.params, inputs.files)
    arms = tables.arms_table(inputs.experiment, found, inputs.table("results", RESULTS))
    contrasts = tables.contrasts_table(found, arms)
    images = np.load(inputs.files["images"], mmap_mode="r")
    return Report(
        tables={"curation": (arms, tables.ARMS)},
        sections=sections(found, arms, contrasts, inputs.table("efficiency", EFFICIENCY)),
        figures={
            "shares": figures.shares(arms, inputs.heading("shares")),
            "distributions": figures.distributions(found, contrasts, inputs.heading("distributions")),
        },
        sheets={
            "valuable": lambda out: sheets.valuable_sheet(images, found, arms, inputs.heading("valuable"), out),
            "scores": lambda out: sheets.scores_sheet(images, found, inputs.heading("scores"), out),
        },
    )
