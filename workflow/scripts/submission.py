"""Write a competition's submission: a similarity for each pair of test.csv, or the best of a gallery for each query."""

from pathlib import Path

from reidflow.ingest.manifest import MANIFEST, QUARANTINE
from reidflow.models.device import resolve_device
from reidflow.retrieval import write_submission as submissions
from reidflow.splits.split import SPLIT
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table


def main(job: Job) -> None:
    given, how = job.given, job.given["submission"]
    manifest = read_table(job.input.manifest, MANIFEST)
    runs = submissions.chosen_runs(given["runs"], RunStore(job.results / ".store"))
    embedded = submissions.Embedded(job.results, resolve_device(job.compute["device"]))
    if given["pairs"]:
        submissions.require_planned(given["source"], given.get("detections"), job.results, given["raw"])
        quarantine = read_table(job.input.quarantine, QUARANTINE)
        together = (runs, embedded, how["combine"], how["inference"])
        text = submissions.pairs_csv(Path(given["pairs"]), manifest, quarantine, *together)
    else:
        question = submissions.sides_of(
            manifest, [read_table(path, SPLIT) for path in job.input.splits], given["gallery"]
        )
        retrieval, _ = submissions.rank_query_images(runs, question, embedded, how["combine"], how["inference"])
        text = submissions.best_json(retrieval, question, manifest, how["k"])
    write_text(job.out.submission, text)


if __name__ == "__main__":
    run(main, snakemake)
