"""Index the images that a submission searches, for `reidflow retrieve`."""

import json
import shutil
from pathlib import Path

from reidflow.ingest.manifest import MANIFEST, QUARANTINE
from reidflow.models.device import resolve_device
from reidflow.retrieval import submitted_gallery as galleries
from reidflow.retrieval import write_submission as submissions
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table


def main(job: Job) -> None:
    given, images = job.given, json.loads(Path(job.input.images).read_text())
    manifest, quarantine = read_table(job.input.manifest, MANIFEST), read_table(job.input.quarantine, QUARANTINE)
    splits = [read_table(path, SPLIT) for path in job.input.splits]
    question = galleries.gallery_question(given["pairs"], manifest, quarantine, splits, given["gallery"])
    if given["pairs"]:
        submissions.require_planned(given["source"], given.get("detections"), job.results, given["raw"])
    runs = submissions.chosen_runs(given["runs"], RunStore(job.results / ".store"))
    embedded = submissions.Embedded(job.results, resolve_device(job.compute["device"]))
    validation, root = (
        submissions.Validation(manifest, given["gallery"]),
        submissions.data_root(given["source"], job.results),
    )
    folder, final = job.out.facts.with_name(".whole"), job.out.final
    print(galleries.write_submitted(folder, runs, question, validation, embedded, images, root, given))
    for name, target in job.out.paths().items():
        (folder / final[name].relative_to(final["facts"].parent)).replace(target)
    shutil.rmtree(folder)


if __name__ == "__main__":
    run(main, snakemake)
