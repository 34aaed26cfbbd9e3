"""Draw an experiment's figures."""

import polars as pl

from reidflow.figures import experiment as draw
from reidflow.figures.kinds import TITLES
from reidflow.figures.parts import save
from reidflow.figures.style import heading
from reidflow.store.experiments import load_experiment
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.tables.arms import HISTORY, by_arm


def main(job: Job) -> None:
    config, experiment = load_experiment(job.results, job.given["experiment"])
    headings = {name: heading(title, experiment.name, config) for name, title in TITLES.items()}
    results, efficiency = pl.read_parquet(job.input.results), pl.read_parquet(job.input.efficiency)
    joined = results.join(efficiency.drop("experiment"), on="arm", how="left", maintain_order="left")
    histories = by_arm(read_table(job.input.history, HISTORY))
    found = {
        "arms": draw.arms(results, headings["arms"]),
        "curves": draw.curves(histories, experiment.file.baseline, headings["curves"]),
        "identities": draw.identities(pl.read_parquet(job.input.comparisons), headings["identities"]),
        "pareto": draw.pareto(joined, headings["pareto"]),
    }
    for name, figure in found.items():
        save(figure, {suffix: getattr(job.out, f"{name}_{suffix}") for suffix in ("png", "svg")})


if __name__ == "__main__":
    run(main, snakemake)
