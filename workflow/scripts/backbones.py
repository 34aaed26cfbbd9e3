"""Describe networks, and measure how fast each embeds images on this machine."""

import json

from reidflow.models.describe import describe, measure
from reidflow.models.device import resolve_device
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run


def main(job: Job) -> None:
    device = resolve_device(job.compute["device"])
    for place, network in enumerate(job.given["networks"]):
        description, built = describe(network)
        print(description["reason"] or f"{description['name']}: {description['parameters']:,} parameters")
        settings = {key: network[key] for key in ("size", "threads", "precision")}
        speed = measure(built, device=device, **settings)
        write_text(getattr(job.out, f"description_{place}"), json.dumps(description, indent=1) + "\n")
        write_text(getattr(job.out, f"speed_{place}"), json.dumps(speed, indent=1) + "\n")


if __name__ == "__main__":
    run(main, snakemake)
