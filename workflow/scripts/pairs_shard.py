"""Compare a shard of the perceptual hashes with all others."""

import numpy as np

from reidflow.dedup.groups import Rules
from reidflow.dedup.hashes import pairs_of, save_pairs
from reidflow.spec.shards import rows_of
from reidflow.store.job import Job, run


def main(job: Job) -> None:
    hashes, reach = np.concatenate(list(map(np.load, job.input.hashes))), Rules(**job.given["groups"]).reach
    save_pairs(job.out.pairs, pairs_of(hashes, reach, rows_of(job.given["shard"], len(hashes))), reach)


if __name__ == "__main__":
    run(main, snakemake)
