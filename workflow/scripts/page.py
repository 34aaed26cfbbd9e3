"""Write what people read of an experiment: exported tables, findings, figures, and a page with everything."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reidflow.figures import experiment as figures
from reidflow.figures.kinds import TITLES
from reidflow.figures.parts import save
from reidflow.figures.style import Heading, heading
from reidflow.pages.browse import browse
from reidflow.pages.page import Opening, write_page
from reidflow.store.atomic import write_text
from reidflow.store.experiments import load_experiment
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.tables.answer import answer_json
from reidflow.tables.arms import HISTORY, by_arm
from reidflow.tables.caption import caption
from reidflow.tables.comparisons import COMPARISONS
from reidflow.tables.data import read_description
from reidflow.tables.design import design
from reidflow.tables.experiment import EFFICIENCY, RESULTS, Tables, blocks, summary
from reidflow.tables.export import exports
from reidflow.tables.findings import ARMS, findings
from reidflow.tables.interpretation import Reading, reading
from reidflow.tables.parameters import parameters_section, with_winners
from reidflow.tables.quantities import headline_quantities
from reidflow.tables.sections import read_all
from reidflow.tables.text import authored


def main(job: Job) -> None:
    config, experiment = load_experiment(job.results, job.given["experiment"])
    experiment = with_winners(experiment, job.input.get("winners"))
    data = read_description(config, job.input.split, job.input.audit, job.input.images)
    tables = Tables(
        read_table(job.input.results, RESULTS),
        read_table(job.input.efficiency, EFFICIENCY),
        read_table(job.input.comparisons, COMPARISONS),
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
    answer = answer_json(experiment, data, results, quantities)
    write_text(job.out.answer, answer)

    headings = {name: heading(title, experiment.name, config) for name, title in TITLES.items()}
    shown = _figures(job, tables, experiment.file.baseline, headings)
    shown |= {Path(path).stem: path for path in job.input.get("figures", [])}
    write_page(
        _opening(
            experiment.name,
            " · ".join(filter(None, [config.title, config.scale])),
            json.loads(answer),
            reading(experiment.file.interpretation, config.title, results, quantities),
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


def _figures(job: Job, tables: Tables, baseline: str, headings: Mapping[str, Heading]) -> dict[str, Path]:
    """Draw the figures that every experiment has; return their SVG files by name."""
    results, efficiency = tables.results, tables.efficiency
    joined = results.join(efficiency.drop("experiment"), on="arm", how="left", maintain_order="left")
    drawn = {
        "arms": figures.arms(results, headings["arms"]),
        "curves": figures.curves(by_arm(read_table(job.input.history, HISTORY)), baseline, headings["curves"]),
        "identities": figures.identities(tables.comparisons, headings["identities"]),
        "pareto": figures.pareto(joined, headings["pareto"]),
    }
    for name, figure in drawn.items():
        save(figure, {suffix: getattr(job.out, f"{name}_{suffix}") for suffix in ("png", "svg")})
    return {name: getattr(job.out, f"{name}_svg") for name in drawn}


def _opening(name: str, subtitle: str, answer: dict[str, Any], read: Reading, figure: str) -> Opening:
    return Opening(
        name,
        answer["question"],
        subtitle,
        answer["answer"],
        answer["hypothesis"],
        answer["held"],
        authored(read.text),
        read.state,
        read.reasons,
        answer["best"]["ties"] if answer["best"] else [],
        figure,
    )


if __name__ == "__main__":
    run(main, snakemake)
