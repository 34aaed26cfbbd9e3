"""Report an experiment on geometries: its tables, its statements and its figures."""

import numpy as np

from reidflow.analyses.geometry import figures as figures
from reidflow.analyses.geometry import tables as tables
from reidflow.analyses.geometry.findings import sections
from reidflow.evaluation.arm import HISTORY, METRICS, Layout
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
    metrics, history = read_table(job.input.metrics, METRICS), read_table(job.input.history, HISTORY)
    embedded = tables.embedded(experiment, metrics, layout, RunStore(job.results / ".store"))
    images, masks = (np.load(path, mmap_mode="r") for path in (job.input.images, job.input.masks))
    runs = tables.runs_table(embedded, layout, metrics, history)
    lengths = tables.radii_table(embedded, layout, tables.sharpness_of(layout, manifest, images, masks))
    arms = tables.arms_table(experiment, runs, lengths)
    for name, table in (("arms", arms), ("runs", runs), ("radii", lengths)):
        write_table(table, getattr(job.out, f"{name}_table"), getattr(tables, name.upper()))
    features = tables.features_of(layout, manifest, job.input.features)
    write_sections(job.out.sections, sections(arms, features))
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    figures.draw(arms, runs, lengths, tables.pictures(embedded, layout), heading, job.out)


if __name__ == "__main__":
    run(main, snakemake)
