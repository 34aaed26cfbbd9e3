"""Compute the masks of images that have none, by the network that the config names."""

from reidflow.ingest import rawdigest
from reidflow.ingest.build import Raw, listing_of, verify
from reidflow.ingest.network_masks import compute, write
from reidflow.ingest.rawdata import cache_file
from reidflow.ingest.segmenter import Segmenter, store_key
from reidflow.store import published
from reidflow.store.job import Job, run


def main(job: Job) -> None:
    given, dataset, cache = job.given, job.given["dataset"], cache_file(job.results)
    listing, key = listing_of(dataset, job.results), store_key(dataset["masks"], given["network"])
    planned = Raw(given["raw"], cache) if given["raw"] else None
    now = verify(listing, planned) if planned else rawdigest.snapshot(listing.root, cache, save=False)
    published.note_use(published.MASKS, key)
    masks = compute(
        listing,
        now.files,
        Segmenter(dataset["masks"], given["network"], dataset["max_pixels"]),
        job.results / ".store" / published.MASKS / key,
        workers=job.compute["workers"],
        progress=lambda done, total: print(f"{done} of {total} images"),
    )
    write(masks, {"segmenter": dataset["masks"], "sha256": given["network"]}, job.out.masks, job.out.digest)
    print(f"{len(masks)} of {len(listing.rows)} images have the mask that the network computed")


if __name__ == "__main__":
    run(main, snakemake)
