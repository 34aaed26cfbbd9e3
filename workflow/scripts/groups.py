"""Join the data set's own groups with near-duplicates and images of one moment."""

import json

import numpy as np
import polars as pl

from reidflow.dedup.edited import hashed_copies
from reidflow.dedup.groups import GROUPS, PAIRS, Rules, group_images
from reidflow.dedup.hashes import image_hashes, load_pairs
from reidflow.ingest.manifest import MANIFEST
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    rules, known, hashes = Rules(**job.given["groups"]), None, None
    manifest = read_table(job.input.manifest, MANIFEST)
    rows = np.flatnonzero(manifest["identity"].is_not_null().to_numpy())
    images = np.load(job.input.images, mmap_mode="r")
    if files := job.input.get("shards"):
        known = load_pairs(files)
    else:
        hashes = image_hashes(images, rows, "phash", workers=job.compute["workers"])
    edited = None if rules.edited is None else hashed_copies(images, rows, rules.edited, job.compute["workers"])
    grouping = group_images(manifest.filter(pl.col("identity").is_not_null()), hashes, rules, known, edited)
    write_table(grouping.groups, job.out.groups, GROUPS)
    write_table(grouping.pairs, job.out.pairs, PAIRS)
    write_text(job.out.joined, json.dumps(grouping.joining.plain(), indent=1))
    for line in filter(None, [grouping.joining.note(), *(f"WARNING: {warning}" for warning in grouping.warnings)]):
        print(line)


if __name__ == "__main__":
    run(main, snakemake)
