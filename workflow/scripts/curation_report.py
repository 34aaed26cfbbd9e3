"""Report a curation experiment: its table, its statements and its figures."""

import numpy as np
import polars as pl

from reidflow.analyses.curation import figures as figures
from reidflow.analyses.curation import sheets as sheets
from reidflow.analyses.curation import tables as tables
from reidflow.analyses.curation.findings import sections
from reidflow.figures.style import Heading
from reidflow.spec.plan import rebuild
from reidflow.store.job import Job, run
from reidflow.store.tables import write_table
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    found = tables.read_curation(job.given, job.input)
    arms = tables.arms_table(experiment, found, pl.read_parquet(job.input.results))
    contrasts = tables.contrasts_table(found, arms)
    write_table(arms, job.out.arms_table, tables.ARMS)
    write_sections(job.out.sections, sections(found, arms, contrasts, pl.read_parquet(job.input.efficiency)))
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    images = np.load(job.input.images, mmap_mode="r")
    figures.draw_shares(arms, heading, {"png": job.out.shares_png, "svg": job.out.shares_svg})
    out = {"png": job.out.distributions_png, "svg": job.out.distributions_svg}
    figures.draw_distributions(found, contrasts, heading, out)
    sheets.valuable_sheet(images, found, arms, heading, job.out.valuable_png)
    sheets.scores_sheet(images, found, heading, job.out.scores_png)


if __name__ == "__main__":
    run(main, snakemake)
