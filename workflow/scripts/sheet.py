"""Show some images of each identity, framed by their role."""

import numpy as np

from reidflow.figures.contact import identities_sheet
from reidflow.figures.style import Heading
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table


def main(job: Job) -> None:
    identities_sheet(
        np.load(job.input.images, mmap_mode="r"),
        read_table(job.input.manifest, MANIFEST),
        read_table(job.input.split, SPLIT),
        Heading("Identities and roles", " · ".join(filter(None, [job.given["title"], job.given["scale"]]))),
        job.out.sheet,
    )


if __name__ == "__main__":
    run(main, snakemake)
