"""Write an experiment's page: table, findings and figures in one file."""

import json
from pathlib import Path

from reidflow.pages.browse import browse
from reidflow.pages.page import Opening, write_page
from reidflow.store.experiments import load_experiment
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.tables.caption import caption
from reidflow.tables.data import read_description
from reidflow.tables.experiment import EFFICIENCY, RESULTS, blocks, summary
from reidflow.tables.interpretation import reading
from reidflow.tables.parameters import parameters_section, with_winners
from reidflow.tables.quantities import headline_quantities
from reidflow.tables.sections import read_all
from reidflow.tables.text import authored


def main(job: Job) -> None:
    config, experiment = load_experiment(job.results, job.given["experiment"])
    experiment = with_winners(experiment, job.input.get("winners"))
    data = read_description(config, job.input.split, job.input.audit, job.input.images)
    results, efficiency = read_table(job.input.results, RESULTS), read_table(job.input.efficiency, EFFICIENCY)
    answer = json.loads(Path(job.input.answer).read_text())
    read = reading(experiment.file.interpretation, config.title, results)
    quantities = headline_quantities(experiment, results, job.input.get("quantities", []))
    write_page(
        Opening(
            experiment.name,
            answer["question"],
            " · ".join(filter(None, [config.title, config.scale])),
            answer["answer"],
            answer["hypothesis"],
            answer["held"],
            authored(read.text),
            read.state,
            read.reasons,
            answer["best"]["ties"] if answer["best"] else [],
        ),
        summary(results, quantities),
        blocks(results, efficiency, quantities),
        Path(job.input.findings).read_text(),
        {Path(path).stem: path for path in [*job.input.figures, *job.input.get("analysis_figures", [])]},
        job.out.page,
        caption=caption(experiment, data, results),
        baseline=experiment.file.baseline,
        sections=[parameters_section(experiment), *read_all(job.input.get("sections", []))],
        siblings=job.given["experiments"],
        browsed=browse(job.input.browsing, job.input.thumbnails),
    )


if __name__ == "__main__":
    run(main, snakemake)
