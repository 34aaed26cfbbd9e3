"""Join what an experiment's runs score on its further splits."""

import polars as pl

from reidflow.evaluation.runs import ALSO_ON, ALSO_ON_QUERIES
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    for name, contract in (("metrics", ALSO_ON), ("per_query", ALSO_ON_QUERIES)):
        tables = [read_table(file, contract) for file in job.input[name]]
        write_table(pl.concat(tables), getattr(job.out, name), contract)


if __name__ == "__main__":
    run(main, snakemake)
