"""Join the data set's own groups with near-duplicates and images of one moment."""

import numpy as np
import polars as pl

from reidflow.dedup.groups import GROUPS, PAIRS, Rules, group_images
from reidflow.dedup.hashes import image_hashes
from reidflow.ingest.manifest import MANIFEST
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    manifest = read_table(job.input.manifest, MANIFEST)
    labelled = manifest["identity"].is_not_null().to_numpy()
    images = np.load(job.input.images, mmap_mode="r")
    hashes = image_hashes(images, np.flatnonzero(labelled), "phash", workers=job.compute["workers"])
    rules = Rules(**job.given["groups"])
    grouping = group_images(manifest.filter(pl.col("identity").is_not_null()), hashes, rules)
    write_table(grouping.groups, job.out.groups, GROUPS)
    write_table(grouping.pairs, job.out.pairs, PAIRS)
    for warning in grouping.warnings:
        print(f"WARNING: {warning}")


if __name__ == "__main__":
    run(main, snakemake)
