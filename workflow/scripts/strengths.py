"""Train the parts that were picked at their other strengths, and score the runs on the test images."""

import json
from pathlib import Path

from reidflow.evaluation.runs import METRICS, TrainedRun, evaluate_runs, local_scores
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.run import RunSpec
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.runs import LEFT_OUT, RunStore
from reidflow.store.tables import read_table, write_table
from reidflow.training.execute import OtherSplit, execute


def main(job: Job) -> None:
    given, picked = job.given, json.loads(Path(job.input.picked).read_text())
    wanted = [(arm, RunSpec.model_validate(spec)) for part in picked for arm, spec in given["runs"][part]]
    specs = [spec for _, spec in wanted]
    other = OtherSplit.at(given["split"])
    arms, device = [arm for arm, _ in wanted], job.compute["device"]
    done = execute(specs, job.results, given["gallery"], device, job.confirm_code, other, arms, LEFT_OUT["strengths"])
    store = RunStore(job.results / ".store")
    local = local_scores(job.input.local, store)
    runs = [TrainedRun.of(arm, made, store, local) for (arm, _), made in zip(wanted, done, strict=True)]
    split, manifest = read_table(job.input.split, SPLIT), read_table(job.input.manifest, MANIFEST)
    found = evaluate_runs(runs, [split], manifest, given["gallery"])["metrics"] if runs else METRICS.empty()
    write_table(found, job.out.metrics, METRICS)


if __name__ == "__main__":
    run(main, snakemake)
