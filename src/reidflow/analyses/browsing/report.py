"""The report: what a page lets a reader browse, as JSON, and the thumbnails of its images, as one JPEG."""

import json

import numpy as np

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.browsing.images import browsed, thumbnails
from reidflow.analyses.browsing.queries import described
from reidflow.evaluation.ranked_runs import ranked_runs, shown_runs
from reidflow.evaluation.runs import PER_QUERY, specs_of
from reidflow.ingest.manifest import MANIFEST
from reidflow.tables.experiment import RESULTS


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    layout, jobs = inputs.layout(), inputs.trained()
    runs = shown_runs(jobs.runs, inputs.table("results", RESULTS))
    ranked = ranked_runs(layout, runs, inputs.mirrored())
    images, queries = browsed(layout, ranked)
    row_of = {image: row for row, image in enumerate(inputs.table("manifest", MANIFEST)["image"])}
    rows = [row_of[image] for image in images["image"]]
    sheet = thumbnails(np.load(inputs.files["images"], mmap_mode="r"), rows)
    spaces = {arm: spec["model"]["geometry"]["name"] for arm, spec in specs_of(jobs).items()}
    found = described(layout, runs, spaces, ranked, inputs.table("per_query", PER_QUERY), images, queries)
    found |= {
        "baseline": inputs.experiment.file.baseline,
        "sheet": {"tile": sheet.tile, "columns": sheet.columns},
    }
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n"
    return Report(files={"browsing.json": text, "thumbnails.jpg": sheet.jpeg})
