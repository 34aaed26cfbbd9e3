"""Compute the perceptual hashes of a shard of the labelled images."""

import numpy as np

from reidflow.dedup.hashes import image_hashes
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.shards import rows_of
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table


def main(job: Job) -> None:
    rows = np.flatnonzero(read_table(job.input.manifest, MANIFEST)["identity"].is_not_null().to_numpy())
    images = np.load(job.input.images, mmap_mode="r")
    chosen = rows[rows_of(job.given["shard"], len(rows))]
    np.save(job.out.hashes, image_hashes(images, chosen, "phash", workers=job.compute["workers"]))


if __name__ == "__main__":
    run(main, snakemake)
