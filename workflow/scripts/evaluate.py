"""Score an experiment's runs on the test images, and lay out a readable folder for each."""

import json

import polars as pl

from reidflow.evaluation import runs
from reidflow.export.tensorboard import write_events
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore, readable_name, remove_former_arms, write_readable
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    slugs, folder, store = job.given["arms"], job.out.final["metrics"].parent, RunStore(job.results / ".store")
    jobs = runs.read_jobs(job.input.runs, job.given["order"], store, job.input.local, job.threads)
    splits, manifest = [read_table(file, SPLIT) for file in job.input.splits], read_table(job.input.manifest, MANIFEST)
    mirrored = read_table(job.input.mirrored, runs.MIRRORED) if job.input.mirrored else None
    tables = runs.evaluate_runs(jobs.runs, splits, manifest, job.given["gallery"], mirrored)
    for name, contract in runs.CONTRACTS.items():
        write_table(tables[name], getattr(job.out, name), contract, {"code": job.given["code"]})
    write_text(job.out.unavailable, json.dumps(jobs.unavailable, indent=1) + "\n")
    for name, slug in slugs.items():
        own = [(made, spec) for made, spec in zip(jobs.runs, jobs.specs, strict=True) if made.arm == name]
        folded = len(own) > len({made.seed for made, _ in own})
        named = {readable_name(made.seed, made.split if folded else None): (made, spec) for made, spec in own}
        write_readable(folder / slug, {folder_name: (made.folder, spec) for folder_name, (made, spec) in named.items()})
        for folder_name, (made, spec) in named.items():
            of_run = pl.col("arm") == name, pl.col("seed") == made.seed, pl.col("split") == made.split
            history, metrics = (tables[table].filter(of_run) for table in ("history", "metrics"))
            write_events(folder / slug / folder_name, spec, history.drop("arm", "seed", "split"), metrics.to_dicts()[0])
    remove_former_arms(folder, [*slugs.values(), "also_on", "looks", "runs", "search", "sweep"])


if __name__ == "__main__":
    run(main, snakemake)
