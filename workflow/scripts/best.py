"""Choose the best arm of several experiments on validation."""

import json

from reidflow.evaluation.runs import METRICS, read_jobs, specs_of
from reidflow.evaluation.selection import CandidateExperiment, choose_best
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table


def main(job: Job) -> None:
    candidates = {}
    for name in job.given["order"]:
        files = job.given["candidates"][name]
        jobs = read_jobs(files["runs"], files["arms"], RunStore(job.results / ".store"))
        candidates[name] = CandidateExperiment(read_table(files["metrics"], METRICS), specs_of(jobs))
    write_text(job.out.best, json.dumps(choose_best(candidates), indent=1))


if __name__ == "__main__":
    run(main, snakemake)
