"""Decode every image once, into squares and a manifest."""

from reidflow.ingest.build import Outputs, Raw, ingest
from reidflow.ingest.listing import Reading, reread
from reidflow.ingest.rawdata import DEMO, cache_file
from reidflow.spec.components import call
from reidflow.store.job import Job, run


def main(job: Job) -> None:
    dataset, source = job.given["dataset"], job.given["dataset"]["source"]
    if source["name"] == DEMO:
        source = {**source, "path": str(job.results / "data" / "demo")}
    listing = reread(call("source", source), Reading.of(dataset))
    for note in listing.notes:
        print(f"Note: {note}")
    ingest(
        listing,
        Outputs(**job.out.paths(), rejected=job.results / "data" / "rejected.parquet"),
        frame=dataset["frame"],
        size=job.given["size"],
        max_bad_share=dataset["max_bad_share"],
        max_pixels=dataset["max_pixels"],
        workers=job.compute["workers"],
        raw=Raw(job.given["raw"], cache_file(job.results)) if job.given["raw"] else None,
        progress=lambda done, total: print(f"{done} of {total} images"),
    )


if __name__ == "__main__":
    run(main, snakemake)
