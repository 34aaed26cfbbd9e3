"""Report an experiment on augmentation: what each part buys, how strong it should be, statements and figures."""

import json
from pathlib import Path

import polars as pl

from reidflow.analyses.augmentation import figures as figures
from reidflow.analyses.augmentation import tables as tables
from reidflow.analyses.augmentation.findings import sections
from reidflow.evaluation.arm import METRICS
from reidflow.figures.style import Heading
from reidflow.spec.plan import rebuild
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    parts = tables.parts_table(experiment, pl.read_parquet(job.input.results))
    picked, tried = json.loads(Path(job.input.picked).read_text()), read_table(job.input.strengths, METRICS)
    strengths = tables.strengths_table(experiment, picked, read_table(job.input.metrics, METRICS), tried)
    write_table(parts, job.out.parts, tables.PARTS)
    write_table(strengths, job.out.strengths, tables.STRENGTHS)
    write_sections(job.out.sections, sections(parts, strengths))
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    figures.draw_parts(parts, heading, {"png": job.out.parts_png, "svg": job.out.parts_svg})
    figures.draw_strengths(strengths, heading, {"png": job.out.strengths_png, "svg": job.out.strengths_svg})


if __name__ == "__main__":
    run(main, snakemake)
