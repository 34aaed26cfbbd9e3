"""Choose the tuned settings of an experiment's arms by the mean validation mAP of their sweeps."""

import json

from reidflow.evaluation.selection import choose_tuned
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run


def main(job: Job) -> None:
    chosen = choose_tuned(job.given["grid"], job.given["arms"], job.input.runs, job.results)
    write_text(job.out.chosen, json.dumps(chosen, indent=1))


if __name__ == "__main__":
    run(main, snakemake)
