"""Choose the pairs of images that a person should compare, and write the page on which to do so."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from reidflow.curation.review import REVIEW, pairs_to_review
from reidflow.dedup.groups import GROUPS
from reidflow.ingest.manifest import MANIFEST
from reidflow.ingest.review import decided
from reidflow.pages.review import write_review
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    manifest = read_table(job.input.manifest, MANIFEST)
    groups = read_table(job.input.groups, GROUPS).select("image", "group")
    labelled = manifest.with_row_index("row").filter(pl.col("identity").is_not_null())
    images = labelled.select("row", "image", "identity", "flank").join(groups, on="image", maintain_order="left")
    features = np.load(job.input.features, mmap_mode="r")[images["row"].to_numpy(), 0]
    pairs = pairs_to_review(images, features, answered=decided(list(job.given["answers"])))
    write_table(pairs, job.out.table, REVIEW)
    write_review(
        pairs,
        np.load(job.input.images, mmap_mode="r"),
        manifest["image"].to_list(),
        job.out.page,
        subtitle=" · ".join(filter(None, [job.given["title"], job.given["scale"]])),
        digest=json.loads(Path(job.input.digest).read_text())["digest"],
    )


if __name__ == "__main__":
    run(main, snakemake)
