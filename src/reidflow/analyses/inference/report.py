"""The report: tables, findings and figures of one experiment."""

import polars as pl

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.inference import figures, quantities
from reidflow.analyses.inference.findings import sections
from reidflow.analyses.inference.tables import INFERENCE, inference_table
from reidflow.evaluation.latency import ANSWERS, answer_times
from reidflow.evaluation.runs import PER_QUERY, specs_of
from reidflow.tables.comparisons import COMPARISONS
from reidflow.tables.experiment import RESULTS
from reidflow.tables.quantities import plain


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    experiment, layout, jobs = inputs.experiment, inputs.layout(), inputs.trained()
    results, per_query = inputs.table("results", RESULTS), inputs.table("per_query", PER_QUERY)
    images = dict(layout.table[layout.gallery].group_by("identity").len().iter_rows())
    comparisons = inputs.table("comparisons", COMPARISONS)
    table = inference_table(experiment, specs_of(jobs), results, per_query, comparisons, images)
    times = answer_times(experiment.name, jobs.runs, layout, inputs.mirrored())
    (passes,) = quantities(experiment)
    return Report(
        tables={"inference": (table, INFERENCE), "inference.efficiency": (times, ANSWERS)},
        quantities=plain(passes, dict(table.select("arm", pl.col("forward_passes").cast(pl.Float64)).iter_rows())),
        sections=sections(table, bool((layout.query_index >= 0).any())),
        figures={
            "methods": figures.methods(table, inputs.heading("methods"), experiment.equivalence),
            "queries": figures.queries(table, per_query, inputs.heading("queries")),
        },
    )
