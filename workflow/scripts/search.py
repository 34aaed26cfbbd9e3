"""Work on a study until all its trials are finished, as one of its workers."""

import json
from pathlib import Path

from reidflow.search.trials_table import spent
from reidflow.search.worker import run_study
from reidflow.spec.search import Study
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.training.execute import OtherSplit, Source


def main(job: Job) -> None:
    other = job.input.get("matched")
    record = run_study(
        Study.of(job.given["study"]),
        Source(job.results, job.given["gallery"], OtherSplit.at(job.given["split"])),
        RunStore(job.results / ".store"),
        job.compute["device"],
        job.results,
        job.confirm_code,
        spent(json.loads(Path(str(other)).read_text())) if other else None,
    )
    write_text(job.out.record, json.dumps(record, indent=1))


if __name__ == "__main__":
    run(main, snakemake)
