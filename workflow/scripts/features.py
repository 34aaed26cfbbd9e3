"""Compute the features of a frozen backbone, once per image and augmented view; of a shard, the rows of some images."""

import json

import numpy as np

from reidflow.features.bank import without_network
from reidflow.features.jobs import BankJob
from reidflow.ingest.manifest import MANIFEST, PIXELS
from reidflow.models.available import first_reason
from reidflow.models.device import resolve_device
from reidflow.spec.run import ORIGINAL
from reidflow.splits.sides import without_gallery_side
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.training.augment import make_augment


def main(job: Job) -> None:
    shard, bank = job.given.get("shard"), job.given["bank"]
    if reason := first_reason(job.input.get("network", [])):
        if shard:
            return write_text(job.out.shard, json.dumps({"unavailable": reason}) + "\n")
        return without_network(reason, job.given["required"], job.out.features, job.out.digest)
    wanted = None if job.given["two_sided"] else without_gallery_side(read_table(job.input.manifest, MANIFEST))
    contract = MANIFEST if bank["background"] == ORIGINAL else PIXELS
    digests = read_table(job.input.pixels, contract)["pixels"].to_list()
    augment = make_augment(bank["augmentation"], bank["size"], seed=0) if bank["views"] else None
    images, device = np.load(job.input.images, mmap_mode="r"), resolve_device(job.compute["device"])
    made = BankJob(images, digests, bank, wanted, augment, job.results / ".store", device)
    if shard:
        made.make_shard(shard, job.out.shard)
    else:
        made.make((job.out.features, job.out.digest))


if __name__ == "__main__":
    run(main, snakemake)
