"""Train an experiment's arms on other splits, and score each run on the test images of its split."""

from pathlib import Path

import polars as pl

from reidflow.curation.on_split import SelectionData, select_on_split
from reidflow.evaluation.runs import SPLIT_RUNS, TrainedRun, evaluate_split_runs, read_jobs, specs_of
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.run import RunSpec
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.runs import LEFT_OUT, RunStore
from reidflow.store.tables import read_table, write_table
from reidflow.training.execute import OtherSplit, execute


def main(job: Job) -> None:
    given, store, parts = job.given, RunStore(job.results / ".store"), []
    manifest = read_table(job.input.manifest, MANIFEST)
    data = SelectionData(manifest, **given["material"])
    jobs = read_jobs(job.input.runs, given["order"], store, job.input.local)
    arms = {arm: RunSpec.model_validate(spec) for arm, spec in specs_of(jobs).items()}
    wanted = [(arm, spec.with_seed(seed)) for arm, spec in arms.items() for seed in given["seeds"]]
    specs = [spec for _, spec in wanted]
    for split_seed, folder in zip(given["split_seeds"], map(Path, given["splits"]), strict=True):
        split = read_table(folder / "split.parquet", SPLIT)
        other = OtherSplit(folder, select_on_split(specs, split, data))
        named, device = [arm for arm, _ in wanted], job.compute["device"]
        done = execute(
            specs, job.results, given["gallery"], device, job.confirm_code, other, named, LEFT_OUT["split_runs"]
        )
        runs = [TrainedRun.of(arm, made, store, jobs.local) for (arm, _), made in zip(wanted, done, strict=True)]
        parts.append(evaluate_split_runs(split_seed, runs, split, manifest, given["gallery"]))
    write_table(pl.concat(parts), job.out.metrics, SPLIT_RUNS)


if __name__ == "__main__":
    run(main, snakemake)
