"""The report: tables, findings and figures of one experiment."""

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.gap import figures, quantities, tables
from reidflow.analyses.gap.findings import sections
from reidflow.evaluation.runs import ALSO_ON, ALSO_ON_QUERIES, METRICS, PER_QUERY
from reidflow.ingest.manifest import MANIFEST
from reidflow.tables.experiment import RESULTS


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    experiment = inputs.experiment
    sided = bool((inputs.table("manifest", MANIFEST)["side"] == "gallery").any())
    own = inputs.table("metrics", METRICS), inputs.table("per_query", PER_QUERY)
    also = inputs.table("also_on", ALSO_ON), inputs.table("also_on_queries", ALSO_ON_QUERIES)
    conditions = tables.conditions(experiment, inputs.config, own, also, sided)
    gap = tables.gap_table(experiment, conditions, inputs.table("results", RESULTS))
    lost = tables.lost_table(experiment, conditions)
    return Report(
        tables={"gap": (gap, tables.GAP), "lost": (lost, tables.LOST)},
        quantities=tables.quantity_rows(experiment, gap, quantities(experiment)),
        sections=sections(gap, lost, tables.transductive_arms(experiment)),
        figures={
            "gap": figures.gap(gap, lost, inputs.heading("gap")),
            "remedies": figures.remedies(gap, inputs.heading("remedies"), inputs.experiment.equivalence),
        },
    )
