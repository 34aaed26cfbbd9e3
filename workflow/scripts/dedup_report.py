"""Report a deduplication experiment: its tables, its statements and its figures."""

import numpy as np
import polars as pl

from reidflow.analyses.dedup import figures as figures
from reidflow.analyses.dedup import sheets as sheets
from reidflow.analyses.dedup import tables as tables
from reidflow.analyses.dedup.findings import sections
from reidflow.figures.style import Heading
from reidflow.spec.plan import rebuild
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table
from reidflow.tables.arms import HISTORY, by_arm
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    found = tables.read_duplicates(job.given, job.input)
    histories = by_arm(read_table(job.input.history, HISTORY))
    methods, suspects = tables.methods_table(found), tables.suspects_table(found)
    arms = tables.arms_table(experiment, found, pl.read_parquet(job.input.results), histories)
    write_table(methods, job.out.methods, tables.METHODS)
    write_table(suspects, job.out.suspects, tables.SUSPECTS)
    write_table(arms, job.out.arms_table, tables.ARMS)
    write_sections(job.out.sections, sections(found, methods, suspects, arms))
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    images = np.load(job.input.images, mmap_mode="r")
    figures.draw_detection(methods, heading, {"png": job.out.detection_png, "svg": job.out.detection_svg})
    figures.draw_thresholds(methods, arms, heading, {"png": job.out.thresholds_png, "svg": job.out.thresholds_svg})
    own = {name: histories[name] for name in arms["arm"]}
    figures.draw_dynamics(own, arms, heading, {"png": job.out.dynamics_png, "svg": job.out.dynamics_svg})
    sheets.groups_sheet(images, found, arms, heading, job.out.groups_png)
    sheets.suspects_sheet(images, found, suspects, heading, job.out.suspects_png)


if __name__ == "__main__":
    run(main, snakemake)
