"""Embed the mirror images of the evaluated photographs with the runs of an experiment that ranks by them too."""

import numpy as np
import polars as pl

from reidflow.evaluation.layout import Layout
from reidflow.evaluation.runs import MIRRORED, read_jobs
from reidflow.ingest.manifest import MANIFEST
from reidflow.models.device import resolve_device
from reidflow.spec.components import needing
from reidflow.spec.run import RunSpec
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table, write_table
from reidflow.training.execute import mirror_images


def main(job: Job) -> None:
    split, manifest = read_table(job.input.split, SPLIT), read_table(job.input.manifest, MANIFEST)
    layouts = [Layout(split, manifest, job.given["gallery"], role) for role in ("val", "test")]
    images = split["image"].gather(np.union1d(*(layout.evaluated for layout in layouts)))
    row_of = {image: row for row, image in enumerate(manifest["image"])}
    rows, device, found = np.array([row_of[image] for image in images]), resolve_device(job.compute["device"]), {}
    jobs = read_jobs(job.input.runs, job.given["order"], RunStore(job.results / ".store"))
    for made, plain in zip(jobs.runs, jobs.specs, strict=True):
        spec = RunSpec.model_validate(plain)
        runs = made.runs if needing("inference", spec.inference, "flipped") else ()
        for (key, folder), single in zip(runs, spec.runs() if runs else (), strict=True):
            if key not in found:
                vectors = mirror_images(folder, single, rows, job.results, device)
                found[key] = pl.DataFrame({"run": key, "image": images, "vector": vectors.tolist()}, MIRRORED.columns)
    write_table(pl.concat([MIRRORED.empty(), *found.values()]), job.out.mirrored, MIRRORED)


if __name__ == "__main__":
    run(main, snakemake)
