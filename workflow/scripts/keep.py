"""Choose the training images that stay: duplicates left out, then the most valuable of the rest."""

from typing import Any

import numpy as np
import polars as pl

from reidflow.curation.pool import choose, draws
from reidflow.curation.scores import SCORES
from reidflow.curation.subset import KEEP
from reidflow.dedup.images import DUPLICATES
from reidflow.dedup.keep import keep
from reidflow.dedup.sharpness import sharpness
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    groups = read_table(job.input.split, SPLIT).filter(pl.col("role") == "train").select("image", "group")
    manifest = read_table(job.input.manifest, MANIFEST).drop("group").with_row_index("row")
    training = manifest.join(groups, on="image", how="inner", maintain_order="left")
    choice = without_duplicates(job, training).with_columns(seed=pl.lit(None, pl.Int64))
    if job.given["curation"]:
        choice = curated(job, training, choice, job.given["curation"])
    write_table(choice.select(list(KEEP.columns)), job.out.keep, KEEP)


def without_duplicates(job: Job, training: pl.DataFrame) -> pl.DataFrame:
    """Return the training images, one of each group of duplicates kept."""
    dedup = job.given["dedup"]
    if not dedup:
        unsaid = [pl.lit(None, pl.String).alias(name) for name in ("group", "reason")]
        return training.select("image", "identity", pl.lit(True).alias("kept"), *unsaid)
    images, masks = (np.load(path, mmap_mode="r") for path in (job.input.images, job.input.masks))
    rows = training["row"].to_numpy().astype(np.int64)
    sharp = sharpness(images, rows, masks) if dedup["keep"] == "sharpest" else None
    pairs = read_table(job.input.pairs, DUPLICATES)
    return keep(training.select("image", "identity"), pairs, dedup["threshold"], dedup["scope"], dedup["keep"], sharp)


def curated(job: Job, training: pl.DataFrame, choice: pl.DataFrame, curation: dict[str, Any]) -> pl.DataFrame:
    """Return the choice with the images that a method does not choose left out, for each seed where it draws."""
    stayed = choice["kept"].to_numpy()
    pool = training.filter(pl.Series(stayed))
    features = np.load(job.input.features, mmap_mode="r")[pool["row"].to_numpy(), 0]
    scores = read_table(job.input.scores, SCORES)
    found = []
    for seed in job.given["seeds"] if draws(curation["method"]) else [None]:
        lists = [pool[name].to_list() for name in ("image", "identity", "group")]
        chosen = choose(*lists, scores, features, curation["method"], curation["share"], seed)
        kept = stayed.copy()
        kept[stayed] = chosen
        found.append(
            choice.with_columns(
                seed=pl.lit(seed, pl.Int64),
                kept=pl.Series(kept),
                reason=pl.when(pl.Series(stayed & ~kept)).then(pl.lit("not chosen")).otherwise("reason"),
            )
        )
    return pl.concat(found)


if __name__ == "__main__":
    run(main, snakemake)
