"""Run one analysis of an experiment: its tables, its part of the findings, its figures."""

from reidflow.analyses.analysis import Inputs, load
from reidflow.store.experiments import load_experiment
from reidflow.store.job import Job, run


def main(job: Job) -> None:
    analysis = load(job.given["analysis"])
    config, experiment = load_experiment(job.results, job.given["experiment"])
    read = {name: job.input.get(name, []) for name in analysis.inputs}
    report = analysis.run(Inputs(config, experiment, read, job.given["params"], job.results / ".store"))
    report.write(job.out.paths(), {"code": job.given["code"]})


if __name__ == "__main__":
    run(main, snakemake)
