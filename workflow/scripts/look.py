"""Look which arms of an experiment are undecided with the seeds so far: these, and the baseline, get more."""

import json

from reidflow.evaluation.runs import evaluate_runs, read_jobs
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.atomic import write_text
from reidflow.store.experiments import load_experiment
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table
from reidflow.tables.arms import evaluated_arms
from reidflow.tables.looks import look_at


def main(job: Job) -> None:
    _, experiment = load_experiment(job.results, job.given["experiment"])
    local = job.input.local, job.threads
    jobs = read_jobs(job.input.runs, job.given["order"], RunStore(job.results / ".store"), *local)
    split, manifest = read_table(job.input.split, SPLIT), read_table(job.input.manifest, MANIFEST)
    tables = evaluate_runs(jobs.runs, [split], manifest, job.given["gallery"])
    arms = evaluated_arms(experiment, tables["metrics"], tables["per_query"])
    write_text(job.out.look, json.dumps(look_at(experiment, arms, job.given["look"]), indent=1) + "\n")


if __name__ == "__main__":
    run(main, snakemake)
