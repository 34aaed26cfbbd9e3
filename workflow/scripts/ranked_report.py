"""Show what the queries of an experiment find: its tables, its statements and its sheets of pictures."""

import numpy as np

from reidflow.analyses.ranked import sheets as figures
from reidflow.analyses.ranked import tables as tables
from reidflow.analyses.ranked.findings import sections
from reidflow.evaluation.arm import MIRRORED, PER_QUERY, Layout, merged
from reidflow.evaluation.ranked import RANKED
from reidflow.figures.style import Heading
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.plan import rebuild
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table, write_table
from reidflow.tables.experiment import RESULTS
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    manifest, per_query = read_table(job.input.manifest, MANIFEST), read_table(job.input.per_query, PER_QUERY)
    layout = Layout(read_table(job.input.split, SPLIT), manifest, job.given["gallery"])
    mirrored = read_table(job.input.mirrored, MIRRORED) if job.input.mirrored else None
    runs = merged(job.input.runs, list(experiment.arms), RunStore(job.results / ".store")).runs
    shown = tables.shown_runs(runs, read_table(job.input.results, RESULTS))
    ranked = tables.ranked_runs(layout, shown, mirrored)
    worst = tables.worst_table(per_query, ranked)
    write_table(ranked, job.out.ranked, RANKED)
    write_table(worst, job.out.worst, tables.WORST)
    write_sections(job.out.sections, sections(ranked, per_query, worst))
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    pictures = figures.Pictures.of(np.load(job.input.images, mmap_mode="r"), manifest)
    figures.ranked_sheet(pictures, ranked, per_query, heading, job.out.ranked_png)
    figures.worst_sheet(pictures, ranked, worst, heading, job.out.worst_png)


if __name__ == "__main__":
    run(main, snakemake)
