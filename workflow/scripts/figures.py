"""Draw an experiment's figures."""

import polars as pl

from reidflow.figures import arms, curves, identities, pareto
from reidflow.figures.kinds import figures_of
from reidflow.figures.style import Heading
from reidflow.store.experiments import load_experiment
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.tables.arms import HISTORY, by_arm


def main(job: Job) -> None:
    config, experiment = load_experiment(job.results, job.given["experiment"])
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    results, efficiency = pl.read_parquet(job.input.results), pl.read_parquet(job.input.efficiency)
    out = {
        kind: {suffix: getattr(job.out, f"{kind}_{suffix}") for suffix in ("png", "svg")}
        for kind in figures_of(tuned=False)
    }
    arms.draw(results, heading, out["arms"])
    curves.draw(by_arm(read_table(job.input.history, HISTORY)), experiment.file.baseline, heading, out["curves"])
    identities.draw(pl.read_parquet(job.input.comparisons), heading, out["identities"])
    joined = results.join(efficiency.drop("experiment"), on="arm", how="left", maintain_order="left")
    pareto.draw(joined, heading, out["pareto"])


if __name__ == "__main__":
    run(main, snakemake)
