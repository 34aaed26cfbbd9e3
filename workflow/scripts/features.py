"""Compute the features of a frozen backbone, once per image and augmented view."""

import numpy as np

from reidflow.features.bank import PLAIN, build_bank, without_network
from reidflow.ingest.manifest import MANIFEST, PIXELS
from reidflow.models.available import first_reason
from reidflow.models.device import resolve_device
from reidflow.spec import code
from reidflow.spec.plan import bank_code
from reidflow.spec.run import ORIGINAL
from reidflow.splits.sides import without_gallery_side
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.training.augment import make_augment


def main(job: Job) -> None:
    reason = first_reason(job.input.get("network", []))
    if reason:
        return without_network(reason, job.given["required"], job.out.features, job.out.digest)
    bank = {key: value for key, value in job.given["bank"].items() if key != "background"}
    wanted = None if job.given["two_sided"] else without_gallery_side(read_table(job.input.manifest, MANIFEST))
    contract = MANIFEST if job.given["bank"]["background"] == ORIGINAL else PIXELS
    build_bank(
        np.load(job.input.images, mmap_mode="r"),
        None,
        read_table(job.input.pixels, contract)["pixels"].to_list(),
        bank,
        (job.out.features, job.out.digest),
        job.results / ".store" / "features",
        augment=make_augment(bank["augmentation"], bank["size"], seed=0) if bank["views"] else None,
        code=code.run_digest(*bank_code(bank)),
        plain_code=code.run_digest(*bank_code({**bank, **PLAIN})),
        device=resolve_device(job.compute["device"]),
        wanted=wanted,
        progress=lambda done, total: print(f"{done} of {total} rows (of plain images, then of augmented views)"),
    )


if __name__ == "__main__":
    run(main, snakemake)
