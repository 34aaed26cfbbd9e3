"""Score an arm's runs on the test images, and lay out a readable folder for each."""

from reidflow.evaluation import arm
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.readable import lay_out
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    store = RunStore(job.results / ".store")
    trained = list(arm.merged(job.input.runs))
    runs = [(run["seed"], run["key"], store.folder(run["key"])) for run in trained]
    split, manifest = read_table(job.input.split, SPLIT), read_table(job.input.manifest, MANIFEST)
    tables = arm.evaluate_arm(runs, split, manifest, job.given["gallery"])
    for name, contract in {
        "metrics": arm.METRICS,
        "per_query": arm.PER_QUERY,
        "history": arm.HISTORY,
        "efficiency": arm.EFFICIENCY,
    }.items():
        write_table(tables[name], getattr(job.out, name), contract)
    lay_out(job.out.final["metrics"].parent, runs, {run["seed"]: run["spec"] for run in trained})


if __name__ == "__main__":
    run(main, snakemake)
