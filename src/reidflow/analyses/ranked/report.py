"""The report: tables, findings and figures of one experiment."""

import numpy as np

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.ranked import sheets, tables
from reidflow.analyses.ranked.findings import sections
from reidflow.evaluation.ranked_runs import ranked_runs, shown_runs
from reidflow.evaluation.retrieval_queries import RANKED
from reidflow.evaluation.runs import PER_QUERY
from reidflow.ingest.manifest import MANIFEST
from reidflow.tables.experiment import RESULTS


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    per_query = inputs.table("per_query", PER_QUERY)
    shown = shown_runs(inputs.trained().runs, inputs.table("results", RESULTS))
    ranked = ranked_runs(inputs.layout(), shown, inputs.mirrored())
    worst = tables.worst_table(per_query, ranked)
    images = np.load(inputs.files["images"], mmap_mode="r")
    shown_images = sheets.ImageRows.of(images, inputs.table("manifest", MANIFEST))
    return Report(
        tables={"ranked": (ranked, RANKED), "worst": (worst, tables.WORST)},
        sections=sections(ranked, per_query, worst),
        sheets={
            "ranked": lambda out: sheets.ranked_sheet(shown_images, ranked, per_query, inputs.heading("ranked"), out),
            "worst": lambda out: sheets.worst_sheet(shown_images, ranked, worst, inputs.heading("worst"), out),
        },
    )
