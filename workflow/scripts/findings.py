"""Print an experiment's table in three formats, and what was found."""

import shutil
import tempfile
from pathlib import Path

from reidflow.spec.plan import rebuild
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.tables.caption import caption
from reidflow.tables.comparisons import COMPARISONS
from reidflow.tables.data import read_description
from reidflow.tables.experiment import EFFICIENCY, RESULTS, Tables
from reidflow.tables.export import export
from reidflow.tables.findings import findings
from reidflow.tables.parameters import parameters_section, with_winners
from reidflow.tables.sections import read_all


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    experiment = with_winners(experiment, job.input.get("winners"))
    data = read_description(config, job.input.split, job.input.audit, job.input.images)
    tables = Tables(
        read_table(job.input.results, RESULTS),
        read_table(job.input.efficiency, EFFICIENCY),
        read_table(job.input.comparisons, COMPARISONS),
    )
    sections = [parameters_section(experiment), *read_all(job.input.get("sections", []))]
    with tempfile.TemporaryDirectory() as folder:
        stem = Path(folder) / experiment.name
        export(tables.results, tables.efficiency, caption(experiment, data, tables.results), stem, sections)
        for name, suffix in (("csv", ".csv"), ("markdown", ".md"), ("latex", ".tex")):
            shutil.copyfile(stem.with_name(stem.name + suffix), getattr(job.out, name))
    write_text(job.out.findings, findings(experiment, data, tables, sections=sections))


if __name__ == "__main__":
    run(main, snakemake)
