"""Choose the tuned settings of an experiment's arms by the mean validation mAP of their sweeps."""

import json

from reidflow.evaluation.runs import ValidationRanking, local_scores
from reidflow.evaluation.selection import choose_tuned
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table


def main(job: Job) -> None:
    ranked = None
    if job.input.ranked:
        manifest, *splits = job.input.ranked
        splits, manifest = [read_table(file, SPLIT) for file in splits], read_table(manifest, MANIFEST)
        local = local_scores(job.input.local, RunStore(job.results / ".store"), job.threads)
        ranked = ValidationRanking(splits, manifest, job.given["gallery"], local)
    chosen = choose_tuned(job.given["grid"], job.given["arms"], job.input.runs, job.results, ranked)
    write_text(job.out.chosen, json.dumps(chosen, indent=1))


if __name__ == "__main__":
    run(main, snakemake)
