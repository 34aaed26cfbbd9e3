"""Show some images of each identity, framed by their role, and images with the outline of their masks."""

import numpy as np

from reidflow.figures.contact import identities_sheet, masks_sheet
from reidflow.figures.style import Heading
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table


def main(job: Job) -> None:
    images, masks = (np.load(path, mmap_mode="r") for path in (job.input.images, job.input.masks))
    manifest, about = (
        read_table(job.input.manifest, MANIFEST),
        " · ".join(filter(None, [job.given["title"], job.given["scale"]])),
    )
    split = read_table(job.input.split, SPLIT)
    identities_sheet(images, manifest, split, Heading("Identities and roles", about), job.out.sheet)
    masks_sheet(images, masks, manifest, Heading("Masks", about), job.out.masks)


if __name__ == "__main__":
    run(main, snakemake)
