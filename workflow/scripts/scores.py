"""Score the training images: quality, uniqueness, representativeness, doubtful labels."""

import numpy as np
import polars as pl

from reidflow.curation.scores import SCORES, score
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    groups = read_table(job.input.split, SPLIT).filter(pl.col("role") == "train").select("image", "group")
    manifest = read_table(job.input.manifest, MANIFEST).drop("group").with_row_index("row")
    training = manifest.join(groups, on="image", how="inner", maintain_order="left")
    rows = training["row"].to_numpy().astype(np.int64)
    scores = score(
        training,
        np.load(job.input.images, mmap_mode="r"),
        rows,
        np.load(job.input.masks, mmap_mode="r"),
        np.load(job.input.features, mmap_mode="r")[rows, 0],
    )
    write_table(scores, job.out.scores, SCORES)


if __name__ == "__main__":
    run(main, snakemake)
