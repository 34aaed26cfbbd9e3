"""Describe a network, and measure how fast it embeds images on this machine."""

import json

from reidflow.models.describe import describe
from reidflow.models.device import resolve_device
from reidflow.models.speed import measure
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run


def main(job: Job) -> None:
    network = job.given["network"]
    description, built = describe(network)
    print(description["reason"] or f"{description['name']}: {description['parameters']:,} parameters")
    settings = {key: network[key] for key in ("size", "threads", "precision")}
    speed = measure(built, device=resolve_device(job.compute["device"]), **settings)
    write_text(job.out.description, json.dumps(description, indent=1) + "\n")
    write_text(job.out.speed, json.dumps(speed, indent=1) + "\n")


if __name__ == "__main__":
    run(main, snakemake)
