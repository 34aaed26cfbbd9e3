"""Choose the training images that stay: duplicates dropped, then the most valuable of the rest."""

import numpy as np

from reidflow.curation.scores import SCORES
from reidflow.curation.selection import curated, without_duplicates
from reidflow.curation.subset import KEEP, training_images
from reidflow.dedup.images import DUPLICATES
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    training = training_images(read_table(job.input.split, SPLIT), read_table(job.input.manifest, MANIFEST))
    images, masks = (np.load(path, mmap_mode="r") for path in (job.input.images, job.input.masks))
    scores = read_table(job.input.scores, SCORES) if job.input.scores else None
    features = np.load(job.input.features, mmap_mode="r")
    for i, given in enumerate(job.given["choices"]):
        pairs = read_table(given["pairs"], DUPLICATES) if given["dedup"] else None
        choice = without_duplicates(training, given["dedup"], pairs, images, masks)
        if given["curation"]:
            choice = curated(training, choice, given["curation"], scores, features, given["seeds"])
        write_table(choice, getattr(job.out, f"keep_{i}"), KEEP)


if __name__ == "__main__":
    run(main, snakemake)
