"""Train an experiment's arms on a further split, and score each run on its test images."""

from reidflow.evaluation.runs import ALSO_ON, ALSO_ON_QUERIES, TrainedRun, evaluate_further_split, read_jobs
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.run import RunSpec
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.runs import LEFT_OUT, RunStore
from reidflow.store.tables import read_table, write_table
from reidflow.training.execute import OtherSplit, execute


def main(job: Job) -> None:
    given, store = job.given, RunStore(job.results / ".store")
    jobs = read_jobs(job.input.runs, given["order"], store, job.input.local)
    specs = [RunSpec.model_validate(spec) for spec in jobs.specs]
    other = OtherSplit.at(given["split"])
    arms, device = [own.arm for own in jobs.runs], job.compute["device"]
    done = execute(
        specs, job.results, given["gallery"], device, job.confirm_code, other, arms, LEFT_OUT["on_other_split"]
    )
    runs = [TrainedRun.of(own.arm, made, store, own.local) for own, made in zip(jobs.runs, done, strict=True)]
    split, manifest = read_table(job.input.split, SPLIT), read_table(job.input.manifest, MANIFEST)
    metrics, per_query = evaluate_further_split(given["label"], runs, split, manifest, given["gallery"])
    write_table(metrics, job.out.metrics, ALSO_ON)
    write_table(per_query, job.out.per_query, ALSO_ON_QUERIES)


if __name__ == "__main__":
    run(main, snakemake)
