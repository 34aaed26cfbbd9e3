"""Index the images that a submission searches, for `reidflow retrieve`."""

import json
import shutil
from pathlib import Path

from reidflow.ingest.manifest import MANIFEST, QUARANTINE
from reidflow.models.device import resolve_device
from reidflow.retrieval import submitted_gallery as galleries
from reidflow.retrieval import write_submission as submissions
from reidflow.retrieval.gallery import write_gallery
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table


def main(job: Job) -> None:
    given, images = job.given, json.loads(Path(job.input.images).read_text())
    manifest, quarantine = read_table(job.input.manifest, MANIFEST), read_table(job.input.quarantine, QUARANTINE)
    question = galleries.gallery_question(
        given["pairs"], manifest, quarantine, [read_table(path, SPLIT) for path in job.input.splits], given["gallery"]
    )
    if given["pairs"]:
        submissions.require_planned(given["source"], given.get("detections"), job.results, given["raw"])
    runs = submissions.chosen_runs(given["runs"], RunStore(job.results / ".store"))
    embedded = submissions.Embedded(job.results, resolve_device(job.compute["device"]))
    fitted = galleries.fitted_gallery(runs, submissions.Validation(manifest, given["gallery"]), given["new"])
    root = submissions.data_root(given["source"], job.results)
    folder, final = job.out.facts.with_name(".whole"), job.out.final
    with galleries.gallery_banks(fitted, manifest, question, job.results) as banks:
        made = galleries.gallery_files(manifest, question, runs, embedded)
        facts, single = galleries.gallery_facts(runs, images, root, given["max_pixels"], fitted, banks)
        recall = write_gallery(folder, *made, {**facts, "index": given["index"]}, single, fitted, banks)
    near = "" if recall is None else f", recall of the 10 nearest against exact {recall:.4f}"
    print(f"{len(made[0])} images{near}")
    for name, target in job.out.paths().items():
        (folder / final[name].relative_to(final["facts"].parent)).replace(target)
    shutil.rmtree(folder)


if __name__ == "__main__":
    run(main, snakemake)
