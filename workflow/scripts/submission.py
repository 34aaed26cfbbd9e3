"""Write a competition's submission: a similarity for each pair of test.csv, or the best of a gallery for each query."""

from pathlib import Path

from reidflow.ingest.manifest import MANIFEST, QUARANTINE
from reidflow.models.device import resolve_device
from reidflow.retrieval import write_submission as submissions
from reidflow.retrieval.submission_files import answers_csv, answers_json
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
    together = embedded, how["combine"], how["inference"], submissions.Validation(manifest, given["gallery"])
    if given["pairs"]:
        submissions.require_planned(given["source"], given.get("detections"), job.results, given["raw"])
        quarantine = read_table(job.input.quarantine, QUARANTINE)
        text = submissions.pairs_csv(Path(given["pairs"]), manifest, quarantine, runs, *together)
        return write_text(job.out.submission, text)
    question = submissions.sides_of(manifest, [read_table(path, SPLIT) for path in job.input.splits], given["gallery"])
    answers = submissions.best_answers(runs, question, manifest, *together, how["k"], how["new"])
    if how["new"]:
        write_text(job.out.answers, answers_csv(answers))
    write_text(job.out.submission, answers_json({one.query: one.named(how["k"], bool(how["new"])) for one in answers}))


if __name__ == "__main__":
    run(main, snakemake)
