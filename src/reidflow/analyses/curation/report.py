"""Report on a curation experiment."""

import numpy as np

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.curation import figures, quantities, sheets, tables
from reidflow.analyses.curation.findings import sections
from reidflow.evaluation.runs import METRICS, PER_QUERY
from reidflow.tables.arms import evaluated_arms
from reidflow.tables.experiment import EFFICIENCY, RESULTS
from reidflow.tables.quantities import by_cost


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    found = tables.read_curation(inputs.params, inputs.files)
    arms = tables.arms_table(inputs.experiment, found, inputs.table("results", RESULTS))
    contrasts = tables.contrasts_table(found, arms)
    images = np.load(inputs.files["images"], mmap_mode="r")
    evaluated = evaluated_arms(
        inputs.experiment, inputs.table("metrics", METRICS), inputs.table("per_query", PER_QUERY)
    )
    (per_step,) = quantities(inputs.experiment)
    return Report(
        tables={"curation": (arms, tables.ARMS)},
        quantities=by_cost(per_step, inputs.experiment, evaluated, "steps", 1e2),
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
