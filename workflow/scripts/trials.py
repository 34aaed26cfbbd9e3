"""Gather the trials of an experiment's studies, and the winner of each."""

import json
from pathlib import Path

from reidflow.search.trials_table import (
    TRIALS,
    TRIALS_EFFICIENCY,
    axes_of_studies,
    trials_efficiency,
    trials_table,
    winners,
)
from reidflow.spec.search import Study
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import write_table


def main(job: Job) -> None:
    studies = [Study.of(plain) for plain in job.given["studies"]]
    files = [Path(record) for record in job.input.records]
    records = {study.name: json.loads(file.read_text()) for study, file in zip(studies, files, strict=True)}
    write_table(trials_table(records, studies), job.out.trials, TRIALS(axes_of_studies(studies)))
    store = RunStore(job.results / ".store")
    write_table(trials_efficiency(records, store), job.out.trials_efficiency, TRIALS_EFFICIENCY)
    write_text(job.out.winners, json.dumps(winners(records), indent=1))


if __name__ == "__main__":
    run(main, snakemake)
