"""Report what wrong first candidates have in common with their queries: its table, its statements and its figure."""

import numpy as np

from reidflow.analyses.errors import tables as tables
from reidflow.analyses.errors.figures import draw_errors
from reidflow.analyses.errors.findings import sections
from reidflow.evaluation.arm import METRICS, MIRRORED, Layout, merged
from reidflow.figures.style import Heading
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.plan import rebuild
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table, write_table
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    manifest = read_table(job.input.manifest, MANIFEST)
    layout = Layout(read_table(job.input.split, SPLIT), manifest, job.given["gallery"])
    mirrored = read_table(job.input.mirrored, MIRRORED) if job.input.mirrored else None
    made = merged(job.input.runs, list(experiment.arms), RunStore(job.results / ".store")).runs
    shown = tables.compared_arms(experiment, read_table(job.input.metrics, METRICS))
    runs = {arm: [own for own in made if own.arm == arm] for arm in shown}
    images, masks = (np.load(path, mmap_mode="r") for path in (job.input.images, job.input.masks))
    errors = tables.errors_table(experiment, layout, runs, tables.looks_of(layout, manifest, images, masks), mirrored)
    write_table(errors, job.out.errors, tables.ERRORS)
    write_sections(job.out.sections, sections(errors))
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    draw_errors(errors, heading, {suffix: getattr(job.out, f"errors_{suffix}") for suffix in ("png", "svg")})


if __name__ == "__main__":
    run(main, snakemake)
