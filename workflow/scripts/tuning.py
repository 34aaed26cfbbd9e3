"""Draw the hyperparameters that each arm of an experiment chose."""

import json
from pathlib import Path

from reidflow.figures.experiment import tuning
from reidflow.figures.kinds import TITLES
from reidflow.figures.parts import save
from reidflow.figures.style import heading
from reidflow.store.experiments import load_experiment
from reidflow.store.job import Job, run


def main(job: Job) -> None:
    config, experiment = load_experiment(job.results, job.given["experiment"])
    chosen = json.loads(Path(job.input.chosen).read_text())
    choices = {arm: chosen[arm] for arm in experiment.arms if arm in chosen}
    save(
        tuning(choices, heading(TITLES["tuning"], experiment.name, config)),
        {"png": job.out.tuning_png, "svg": job.out.tuning_svg},
    )


if __name__ == "__main__":
    run(main, snakemake)
