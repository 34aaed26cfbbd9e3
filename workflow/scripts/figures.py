"""Draw an experiment's figures."""

import json

import polars as pl

from reidflow.figures import arms, curves, identities, pareto, tuning
from reidflow.figures.style import Heading
from reidflow.spec.plan import rebuild
from reidflow.store.job import Job, run


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    results, efficiency = pl.read_parquet(job.input.results), pl.read_parquet(job.input.efficiency)
    folders = experiment.folders(job.input.arms)
    out = {
        kind: {suffix: getattr(job.out, f"{kind}_{suffix}") for suffix in ("png", "svg")}
        for kind in ("arms", "curves", "identities", "tuning", "pareto")
    }
    arms.draw(results, heading, out["arms"])
    histories = {name: pl.read_parquet(folder / "history.parquet") for name, folder in folders.items()}
    curves.draw(histories, experiment.file.baseline, heading, out["curves"])
    identities.draw(pl.read_parquet(job.input.comparisons), heading, out["identities"])
    chosen = {name: folder / "chosen.json" for name, folder in folders.items() if experiment.tuned}
    tuning.draw({name: json.loads(path.read_text()) for name, path in chosen.items()}, heading, out["tuning"])
    joined = results.join(efficiency.drop("experiment"), on="arm", how="left", maintain_order="left")
    pareto.draw(joined, heading, out["pareto"])


if __name__ == "__main__":
    run(main, snakemake)
