"""Decode every image once, into squares and a manifest."""

from reidflow.ingest.build import Outputs, Raw, ingest, listing_of
from reidflow.ingest.network_masks import read
from reidflow.ingest.rawdata import cache_file
from reidflow.store.job import Job, run


def main(job: Job) -> None:
    dataset = job.given["dataset"]
    notes = ingest(
        listing_of(dataset, job.results),
        Outputs(**job.out.paths(), rejected=job.results / "data" / "rejected.parquet"),
        frame=dataset["frame"],
        size=job.given["size"],
        max_bad_share=dataset["max_bad_share"],
        max_pixels=dataset["max_pixels"],
        levels=dataset["levels"],
        workers=job.compute["workers"],
        raw=Raw(job.given["raw"], cache_file(job.results)) if job.given["raw"] else None,
        network=read(job.input.masks, job.input.network) if job.input.network else None,
        progress=lambda done, total: print(f"{done} of {total} images"),
    )
    for note in notes:
        print(f"Note: {note}")


if __name__ == "__main__":
    run(main, snakemake)
