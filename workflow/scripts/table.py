"""Make an experiment's table, its efficiency and its comparisons per identity."""

import json
from pathlib import Path

from reidflow.store.experiments import load_experiment
from reidflow.store.job import Job, run
from reidflow.store.tables import write_table
from reidflow.tables.arms import TABLES, read_arms
from reidflow.tables.comparisons import COMPARISONS, PROFILES
from reidflow.tables.data import read_description, versions_line
from reidflow.tables.experiment import EFFICIENCY, RESULTS, build_table


def main(job: Job) -> None:
    config, experiment = load_experiment(job.results, job.given["experiment"])
    data = read_description(config, job.input.splits, job.input.audits, job.input.images)
    arms = read_arms(experiment, {name: job.input[name] for name in TABLES}, job.input.get("chosen"))
    missing = json.loads(Path(job.input.unavailable).read_text())
    speeds = {arm: json.loads(Path(file).read_text()) for arm, file in job.given["speeds"].items()}
    tables = build_table(experiment, arms, data, unavailable=missing, speeds=speeds)
    about = {"code": job.given["code"], **data.digests(), "versions": versions_line(tables.results["versions"])}
    write_table(tables.results, job.out.results, RESULTS, about)
    write_table(tables.efficiency, job.out.efficiency, EFFICIENCY, about)
    write_table(tables.comparisons, job.out.comparisons, COMPARISONS, about)
    write_table(tables.profiles, job.out.profiles, PROFILES, about)


if __name__ == "__main__":
    run(main, snakemake)
