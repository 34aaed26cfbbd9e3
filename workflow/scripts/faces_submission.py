"""Rank a competition's gallery for its queries, within a budget of time that counts from the start of the command."""

import json
import time

import numpy as np

from reidflow.ingest.manifest import MANIFEST
from reidflow.models.device import resolve_device
from reidflow.retrieval.competition import compete
from reidflow.retrieval.competition_report import efficiency, markdown, report, submission
from reidflow.retrieval.competition_workspace import Budget, Workspace
from reidflow.retrieval.submission_files import answers_json
from reidflow.spec.run import RunSpec
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table


def main(job: Job) -> None:
    given = job.given
    manifest = read_table(job.input.manifest, MANIFEST)
    images = np.load(job.input.images, mmap_mode="r")
    protocol = RunSpec.model_validate(given["protocol"])
    budget = Budget(60 * given["minutes"], job.compute.get("started", time.time()))
    device = resolve_device(job.compute["device"])
    workspace = Workspace(manifest, images, protocol, job.results, device, budget)
    state = compete(workspace, given["networks"], given["k"])
    facts = report(state, workspace)
    write_text(job.out.submission, answers_json(submission(state, manifest, given["folders"])))
    write_text(job.out.report, json.dumps(facts, indent=1) + "\n")
    write_text(job.out.efficiency, json.dumps(efficiency(state, workspace), indent=1) + "\n")
    write_text(job.out.text, markdown(facts, given["title"]))


if __name__ == "__main__":
    run(main, snakemake)
