"""Write an experiment's page: table, findings and figures in one file."""

from pathlib import Path

from reidflow.pages.browse import browse
from reidflow.pages.page import write_page
from reidflow.store.experiments import load_experiment
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.tables.caption import caption
from reidflow.tables.data import read_description
from reidflow.tables.experiment import EFFICIENCY, RESULTS, blocks
from reidflow.tables.parameters import parameters_section, with_winners
from reidflow.tables.sections import read_all


def main(job: Job) -> None:
    config, experiment = load_experiment(job.results, job.given["experiment"])
    experiment = with_winners(experiment, job.input.get("winners"))
    data = read_description(config, job.input.split, job.input.audit, job.input.images)
    results, efficiency = read_table(job.input.results, RESULTS), read_table(job.input.efficiency, EFFICIENCY)
    write_page(
        experiment.file.question,
        " · ".join(filter(None, [config.title, config.scale])),
        caption(experiment, data, results),
        blocks(results, efficiency),
        Path(job.input.findings).read_text(),
        {Path(path).stem: path for path in [*job.input.figures, *job.input.get("analysis_figures", [])]},
        job.out.page,
        experiment.file.baseline,
        [parameters_section(experiment), *read_all(job.input.get("sections", []))],
        browse(job.input.browsing, job.input.thumbnails),
    )


if __name__ == "__main__":
    run(main, snakemake)
