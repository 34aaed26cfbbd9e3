"""Choose the tuned settings of an experiment's arms by the mean validation mAP of their sweeps."""

import json
from importlib import import_module

from reidflow.evaluation.selection import choose_tuned
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore


def main(job: Job) -> None:
    ranked = None
    if job.input.ranked:
        # Named in the params where points are ranked: what ranks none depends on no code that does.
        points, store = import_module(job.given["ranked_points"]), RunStore(job.results / ".store")
        own = job.given["gallery"], job.input.local, store, job.threads
        ranked = points.ValidationRanking.read(job.input.ranked, *own)
    chosen = choose_tuned(job.given["grid"], job.given["arms"], job.input.runs, job.results, ranked)
    write_text(job.out.chosen, json.dumps(chosen, indent=1))


if __name__ == "__main__":
    run(main, snakemake)
