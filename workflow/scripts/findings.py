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
from reidflow.tables.experiment import EFFICIENCY, RESULTS, Tables
from reidflow.tables.export import export
from reidflow.tables.findings import findings
from reidflow.tables.inputs import read_setting, with_outcomes
from reidflow.tables.sections import read_all
from reidflow.tables.settings import settings_section


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    experiment = with_outcomes(experiment, job.input.get("winners"))
    setting = read_setting(config, job.input.split, job.input.audit, job.input.images)
    tables = Tables(
        read_table(job.input.results, RESULTS),
        read_table(job.input.efficiency, EFFICIENCY),
        read_table(job.input.comparisons, COMPARISONS),
    )
    sections = [settings_section(experiment), *read_all(job.input.get("details", []))]
    with tempfile.TemporaryDirectory() as folder:
        stem = Path(folder) / experiment.name
        export(tables.results, tables.efficiency, caption(experiment, setting, tables.results), stem, sections)
        for name, suffix in (("csv", ".csv"), ("markdown", ".md"), ("latex", ".tex")):
            shutil.copyfile(stem.with_name(stem.name + suffix), getattr(job.out, name))
    write_text(job.out.findings, findings(experiment, setting, tables, sections=sections))


if __name__ == "__main__":
    run(main, snakemake)
