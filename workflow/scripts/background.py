"""Draw the photographs once more, with an intervention on their background."""

import json

import numpy as np

from reidflow.backgrounds.donors import pools_of
from reidflow.backgrounds.draw import draw
from reidflow.backgrounds.drawn import DRAWN
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    manifest = read_table(job.input.manifest, MANIFEST)
    pixels, summary = draw(
        manifest,
        np.load(job.input.images, mmap_mode="r"),
        np.load(job.input.masks, mmap_mode="r"),
        job.given["background"],
        job.out.images,
        without_mask=job.given["without_mask"],
        workers=job.compute["workers"],
        pools=pools_of(manifest, read_table(job.input.split, SPLIT)),
    )
    write_table(pixels, job.out.pixels, DRAWN)
    write_text(job.out.digest, json.dumps(summary, indent=1) + "\n")
    if summary["without_mask"]:
        print(f"WARNING: {summary['without_mask']} photographs have no mask and stay as they are.")


if __name__ == "__main__":
    run(main, snakemake)
