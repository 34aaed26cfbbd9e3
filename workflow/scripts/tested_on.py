"""Test an experiment's runs on other versions of the evaluated images."""

import numpy as np
import polars as pl

from reidflow.evaluation.image_versions import TESTED_ON, evaluate_versions, original_label, resized_labels
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.ranking import similarity_of
from reidflow.evaluation.runs import read_jobs
from reidflow.ingest.manifest import MANIFEST
from reidflow.models.device import resolve_device
from reidflow.spec.run import RunSpec
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.runs import WEIGHTS, RunStore, verified
from reidflow.store.tables import read_table, write_table
from reidflow.training.embedding import embed_stored


def main(job: Job) -> None:
    given, parts, device = job.given, [], resolve_device(job.compute["device"])
    split, manifest = read_table(job.input.split, SPLIT), read_table(job.input.manifest, MANIFEST).with_row_index("row")
    layout = Layout(split, manifest, given["gallery"])
    rows = split[layout.evaluated].join(manifest, "image", maintain_order="left")["row"].to_numpy().astype(np.int64)
    jobs = read_jobs(job.input.runs, given["order"], RunStore(job.results / ".store"))
    for made, spec in zip(jobs.runs, map(RunSpec.model_validate, jobs.specs), strict=True):
        read, other = ("features", "pixels") if spec.frozen else ("pixels", "features")
        vectors = {}
        for label, path, size in zip(given["labels"], given["arms"][made.arm], given["sizes"][made.arm], strict=True):
            version = {read: np.load(path, mmap_mode="r"), other: None, "size": size}
            verified(made.folder, WEIGHTS)
            vectors[label] = embed_stored(made.folder, spec, rows, **version, device=device)
        how = similarity_of(spec.model.geometry["name"]), resized_labels(given["tests"])
        parts.append(evaluate_versions(vectors, original_label(given["tests"]), layout, made.arm, made.seed, *how))
    write_table(pl.concat(parts), job.out.tested_on, TESTED_ON)


if __name__ == "__main__":
    run(main, snakemake)
