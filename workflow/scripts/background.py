"""Write the variant of the image store that a background intervention makes."""

import json

import numpy as np

from reidflow.backgrounds.photo import donor_pools
from reidflow.backgrounds.variant import write_variant
from reidflow.ingest.manifest import MANIFEST, PIXELS
from reidflow.splits.split import SPLIT
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    manifest = read_table(job.input.manifest, MANIFEST)
    pixels, summary = write_variant(
        manifest,
        np.load(job.input.images, mmap_mode="r"),
        np.load(job.input.masks, mmap_mode="r"),
        job.given["background"],
        job.out.images,
        without_mask=job.given["without_mask"],
        pools=donor_pools(manifest, read_table(job.input.split, SPLIT)),
    )
    write_table(pixels, job.out.pixels, PIXELS)
    write_text(job.out.digest, json.dumps(summary, indent=1) + "\n")
    if summary["without_mask"]:
        print(f"WARNING: {summary['without_mask']} images have no mask and stay unchanged.")


if __name__ == "__main__":
    run(main, snakemake)
