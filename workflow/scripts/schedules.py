"""Report the learning-rate curves of an experiment whose arms differ in their schedule."""

import json
from pathlib import Path

import polars as pl

from reidflow.analyses.schedules import figures as figure
from reidflow.analyses.schedules.tables import RATES, chosen_specs, kept_rates, rates_table, recorded, section
from reidflow.figures.style import Heading
from reidflow.spec.plan import rebuild
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table
from reidflow.tables.arms import HISTORY, METRICS, by_arm
from reidflow.tables.sections import write_sections
from reidflow.training.rates import replay


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    choices = json.loads(Path(job.input.chosen).read_text()) if experiment.tuned else {}
    specs, curves = chosen_specs(experiment, choices), {}
    for arm, histories in by_arm(read_table(job.input.history, HISTORY)).items():
        for (seed,), history in histories.group_by(["seed"], maintain_order=True):
            if history["epoch"].max() > 0:
                rates = replay(specs[arm], history)
                steps = history.filter(pl.col("epoch") == 1)["steps"][0]
                curves[arm, seed] = (recorded(history) if rates is None else rates, steps, rates is not None)
    table = rates_table(curves)
    kept = kept_rates(table, read_table(job.input.metrics, METRICS))
    write_table(table, job.out.rates, RATES)
    write_sections(job.out.sections, [section(table, kept)])
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    figure.draw(table, kept, experiment.file.baseline, heading, {"png": job.out.rates_png, "svg": job.out.rates_svg})


if __name__ == "__main__":
    run(main, snakemake)
