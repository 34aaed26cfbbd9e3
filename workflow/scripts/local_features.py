"""Extract the local features of all images, or of a shard of them, from their files."""

import json
from pathlib import Path

from reidflow.ingest.build import listing_of
from reidflow.ingest.framing import frame_of
from reidflow.ingest.manifest import MANIFEST
from reidflow.ingest.network_masks import read
from reidflow.ingest.squares import Squares
from reidflow.matching.bank import BankFiles, BankJob
from reidflow.models.device import resolve_device
from reidflow.spec.plan import runs_network
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table


def main(job: Job) -> None:
    dataset, matcher = job.given["dataset"], job.given["matcher"]
    levels = json.loads(Path(job.input.images).read_text()).get("levels", {})
    listing, frame = listing_of(dataset, job.results), frame_of(dataset["frame"])
    network = read(job.input.masks, job.input.network) if job.input.network else None
    squares = Squares(listing.root, frame, matcher["size"], dataset["max_pixels"], levels, network)
    device = resolve_device(job.compute["device"]) if runs_network(matcher) else "cpu"
    manifest = read_table(job.input.manifest, MANIFEST)
    made = BankJob(listing, manifest, squares, matcher, job.results / ".store", device, job.threads)
    if shard := job.given.get("shard"):
        made.make_shard(shard, job.out.shard)
    else:
        shards = [digest for path in job.input.shards for digest in json.loads(Path(path).read_text())]
        digests = shards if len(shards) == manifest.height else None
        made.make(BankFiles(**job.out.paths()), digests, required=job.given["required"])


if __name__ == "__main__":
    run(main, snakemake)
