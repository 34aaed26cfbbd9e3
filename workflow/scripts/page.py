"""Write what people read of an experiment: exported tables, findings, figures, and a page with everything."""

from pathlib import Path

from reidflow.figures.experiment import figures_of_arms
from reidflow.figures.kinds import TITLES
from reidflow.figures.parts import save
from reidflow.figures.style import heading
from reidflow.pages.browse import browse
from reidflow.pages.page import Opening, write_page
from reidflow.store.atomic import write_text
from reidflow.store.experiments import load_experiment
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.tables.answer import answer_of, as_json
from reidflow.tables.arms import HISTORY, by_arm
from reidflow.tables.caption import caption
from reidflow.tables.comparisons import COMPARISONS, PROFILES
from reidflow.tables.data import read_description
from reidflow.tables.design import design
from reidflow.tables.experiment import EFFICIENCY, RESULTS, Tables, blocks, summary
from reidflow.tables.export import exports
from reidflow.tables.findings import ARMS, findings
from reidflow.tables.interpretation import reading
from reidflow.tables.parameters import parameters_section, with_winners
from reidflow.tables.quantities import headline_quantities
from reidflow.tables.sections import read_all


def main(job: Job) -> None:
    config, experiment = load_experiment(job.results, job.given["experiment"])
    experiment = with_winners(experiment, job.input.get("winners"))
    data = read_description(config, job.input.splits, job.input.audits, job.input.images)
    tables = Tables(
        read_table(job.input.results, RESULTS),
        read_table(job.input.efficiency, EFFICIENCY),
        read_table(job.input.comparisons, COMPARISONS),
        read_table(job.input.profiles, PROFILES),
    )
    results, efficiency = tables.results, tables.efficiency
    quantities = headline_quantities(experiment, results, job.input.get("quantities", []))
    sections = [parameters_section(experiment), *read_all(job.input.get("sections", []))]
    lines = caption(experiment, data, results)

    texts = exports(results, efficiency, lines, sections, *design(experiment, data), quantities=quantities)
    for name, text in texts.items():
        write_text(getattr(job.out, name), text)
    found = findings(experiment, data, tables, sections=sections, quantities=quantities)
    write_text(job.out.findings, found)
    answer = answer_of(experiment, data, results, quantities)
    write_text(job.out.answer, as_json(answer))

    headings = {name: heading(title, experiment.name, config) for name, title in TITLES.items()}
    histories = by_arm(read_table(job.input.history, HISTORY))
    drawn = figures_of_arms(*tables, histories, experiment.file.baseline, headings)
    for name, figure in drawn.items():
        save(figure, {suffix: getattr(job.out, f"{name}_{suffix}") for suffix in ("png", "svg")})
    shown = {name: getattr(job.out, f"{name}_svg") for name in drawn}
    shown |= {Path(path).stem: path for path in job.input.get("figures", [])}
    read = reading(experiment.file.interpretation, config.title, results, quantities)
    write_page(
        Opening.of(
            answer,
            " · ".join(filter(None, [config.title, config.scale])),
            read,
            next((name for name in experiment.file.headline if name in shown), ARMS),
        ),
        summary(results, quantities),
        blocks(results, efficiency, quantities),
        found,
        shown,
        job.out.page,
        caption=lines,
        baseline=experiment.file.baseline,
        sections=sections,
        siblings=job.given["experiments"],
        browsed=browse(job.input.browsing, job.input.thumbnails),
    )


if __name__ == "__main__":
    run(main, snakemake)
