"""Make an experiment's table, its efficiency and its comparisons per identity."""

from reidflow.spec.plan import rebuild
from reidflow.store.job import Job, run
from reidflow.store.readable import prune
from reidflow.store.tables import write_table
from reidflow.tables.comparisons import COMPARISONS
from reidflow.tables.experiment import EFFICIENCY, RESULTS, build_table
from reidflow.tables.inputs import read_setting


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    setting = read_setting(config, job.input.split, job.input.audit, job.input.images)
    folders = experiment.folders(job.input.arms)
    tables = build_table(experiment, folders, setting)
    write_table(tables.results, job.out.results, RESULTS)
    write_table(tables.efficiency, job.out.efficiency, EFFICIENCY)
    write_table(tables.comparisons, job.out.comparisons, COMPARISONS)
    prune(job.results / "experiments" / experiment.name, [folder.name for folder in folders.values()])


if __name__ == "__main__":
    run(main, snakemake)
