"""Test an arm's runs on other versions of the evaluated images."""

import numpy as np
import polars as pl

from reidflow.evaluation.arm import Layout, merged
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
    given, store = job.given, RunStore(job.results / ".store")
    split, manifest = read_table(job.input.split, SPLIT), read_table(job.input.manifest, MANIFEST)
    layout = Layout(split, manifest, given["gallery"])
    row_of = {image: row for row, image in enumerate(manifest["image"])}
    rows = np.array([row_of[image] for image in split["image"].gather(layout.evaluated)])
    read, other = ("features", "pixels") if given["frozen"] else ("pixels", "features")
    device, original, parts = resolve_device(job.compute["device"]), original_label(given["tests"]), []
    for made in merged(job.input.runs):
        folder, spec, vectors = store.folder(made["key"]), RunSpec.model_validate(made["spec"]), {}
        for label, path in zip(given["labels"], job.input.versions, strict=True):
            version = {read: np.load(path, mmap_mode="r"), other: None}
            vectors[label] = embed_stored(folder, spec, rows, **version, device=device)
        parts.append(test_on(vectors, original, layout, made["seed"]))
    write_table(pl.concat(parts), job.out.tested_on, TESTED_ON)


if __name__ == "__main__":
    run(main, snakemake)
