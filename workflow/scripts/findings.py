"""Print an experiment's table in three formats, and what was found."""

from reidflow.store.atomic import write_text
from reidflow.store.experiments import load_experiment
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.tables.answer import answer_json
from reidflow.tables.caption import caption
from reidflow.tables.comparisons import COMPARISONS
from reidflow.tables.data import read_description
from reidflow.tables.design import design
from reidflow.tables.experiment import EFFICIENCY, RESULTS, Tables
from reidflow.tables.export import exports
from reidflow.tables.findings import findings
from reidflow.tables.parameters import parameters_section, with_winners
from reidflow.tables.quantities import headline_quantities
from reidflow.tables.sections import read_all


def main(job: Job) -> None:
    config, experiment = load_experiment(job.results, job.given["experiment"])
    experiment = with_winners(experiment, job.input.get("winners"))
    data = read_description(config, job.input.split, job.input.audit, job.input.images)
    tables = Tables(
        read_table(job.input.results, RESULTS),
        read_table(job.input.efficiency, EFFICIENCY),
        read_table(job.input.comparisons, COMPARISONS),
    )
    quantities = headline_quantities(experiment, tables.results, job.input.get("quantities", []))
    sections = [parameters_section(experiment), *read_all(job.input.get("sections", []))]
    lines = caption(experiment, data, tables.results)
    designed = design(experiment, data)
    texts = exports(tables.results, tables.efficiency, lines, sections, *designed, quantities=quantities)
    for name, text in texts.items():
        write_text(getattr(job.out, name), text)
    write_text(job.out.answer, answer_json(experiment, data, tables.results, quantities))
    write_text(job.out.findings, findings(experiment, data, tables, sections=sections, quantities=quantities))


if __name__ == "__main__":
    run(main, snakemake)
