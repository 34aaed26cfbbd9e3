"""Find all pairs of labelled images that a method considers duplicates, up to the loosest threshold in use."""

import numpy as np

from reidflow.dedup.images import DUPLICATES, Images, find_pairs, pairs_of_shards
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.shards import rows_of
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    if files := job.input.get("shards"):
        return write_table(pairs_of_shards(files, job.given["loosest"]), job.out.pairs, DUPLICATES)
    manifest = read_table(job.input.manifest, MANIFEST)
    rows = np.flatnonzero(manifest["identity"].is_not_null().to_numpy())
    columns = [manifest[name].gather(rows).to_list() for name in ("image", "identity", "sha256", "pixels")]
    features = np.load(job.input.features, mmap_mode="r")[rows, 0]
    first = rows_of(job.given["shard"], len(rows)) if "shard" in job.given else None
    images = Images(np.load(job.input.images, mmap_mode="r"), rows, *columns, features, job.compute["workers"], first)
    write_table(find_pairs(images, job.given["method"], job.given["loosest"]), job.out.pairs, DUPLICATES)


if __name__ == "__main__":
    run(main, snakemake)
