"""Pick the parts of an experiment that are tried at other strengths, by the validation mAP of their own arms."""

import json

from reidflow.evaluation.runs import METRICS
from reidflow.evaluation.selection import best_parts
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table


def main(job: Job) -> None:
    picked = best_parts(read_table(job.input.metrics, METRICS), job.given["arms"])
    write_text(job.out.picked, json.dumps(picked, indent=1) + "\n")


if __name__ == "__main__":
    run(main, snakemake)
