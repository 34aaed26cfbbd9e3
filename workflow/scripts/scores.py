"""Score the training images: quality, uniqueness, representativeness, doubtful labels."""

import numpy as np

from reidflow.curation.scores import SCORES, score
from reidflow.curation.subset import training_images
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    training = training_images(read_table(job.input.split, SPLIT), read_table(job.input.manifest, MANIFEST))
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
