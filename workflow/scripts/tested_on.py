"""Test an experiment's runs on other versions of the evaluated images."""

import numpy as np
import polars as pl

from reidflow.evaluation.arm import Layout, merged
from reidflow.evaluation.similarity import similarity_of
from reidflow.evaluation.tested_on import TESTED_ON, original_label, test_on
from reidflow.ingest.manifest import MANIFEST
from reidflow.models.device import resolve_device
from reidflow.spec.run import RunSpec
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table, write_table
from reidflow.training.embedding import embed_stored


def main(job: Job) -> None:
    given, parts = job.given, []
    split, manifest = read_table(job.input.split, SPLIT), read_table(job.input.manifest, MANIFEST)
    layout = Layout(split, manifest, given["gallery"])
    row_of = {image: row for row, image in enumerate(manifest["image"])}
    rows = np.array([row_of[image] for image in split["image"].gather(layout.evaluated)])
    device, original = resolve_device(job.compute["device"]), original_label(given["tests"])
    jobs = merged(job.input.runs, given["order"], RunStore(job.results / ".store"))
    for made, plain in zip(jobs.runs, jobs.specs, strict=True):
        spec = RunSpec.model_validate(plain)
        similarity = similarity_of(spec.model.geometry["name"])
        read, other = ("features", "pixels") if spec.frozen else ("pixels", "features")
        arrays = zip(given["labels"], given["arms"][made.arm], strict=True)
        versions = {label: {read: np.load(path, mmap_mode="r"), other: None} for label, path in arrays}
        vectors = {name: embed_stored(made.folder, spec, rows, **own, device=device) for name, own in versions.items()}
        parts.append(test_on(vectors, original, layout, made.arm, made.seed, similarity))
    write_table(pl.concat(parts), job.out.tested_on, TESTED_ON)


if __name__ == "__main__":
    run(main, snakemake)
