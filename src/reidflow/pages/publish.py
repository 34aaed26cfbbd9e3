"""What people read of an experiment: exported tables, findings, the answer as data, figures, and a page with everything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.figures.experiment import figures_of_arms
from reidflow.figures.kinds import TITLES
from reidflow.figures.parts import save
from reidflow.figures.style import heading
from reidflow.pages.page import Opening, write_page
from reidflow.spec.config import Config, subtitle
from reidflow.spec.experiment import Experiment
from reidflow.store.atomic import write_text
from reidflow.store.job import Outputs
from reidflow.tables.answer import answer_of, as_json
from reidflow.tables.caption import caption
from reidflow.tables.data import DataDescription
from reidflow.tables.design import design
from reidflow.tables.experiment import Tables, blocks, summary
from reidflow.tables.export import exports
from reidflow.tables.findings import ARMS, findings
from reidflow.tables.interpretation import reading
from reidflow.tables.quantities import headline_quantities
from reidflow.tables.sections import Section


def publish(
    config: Config,
    experiment: Experiment,
    data: DataDescription,
    tables: Tables,
    histories: Mapping[str, pl.DataFrame],
    out: Outputs,
    *,
    quantities: Sequence[str | Path],
    sections: Sequence[Section],
    figures: Sequence[str | Path],
    siblings: Sequence[str],
    browsed: Mapping[str, Any] | None,
) -> None:
    """Write what people read of an experiment to the outputs of the rule `page`.

    histories: arm -> HISTORY. quantities: the files of the quantities that its analyses measured. sections: in the order
    of the page. figures: the files of those that its analyses drew. siblings, browsed: as in `write_page`.
    """
    results, efficiency = tables.results, tables.efficiency
    measured = headline_quantities(experiment, results, quantities)
    lines = caption(experiment, data, results)
    texts = exports(results, efficiency, lines, sections, *design(experiment, data), quantities=measured)
    for name, text in texts.items():
        write_text(getattr(out, name), text)
    found = findings(experiment, data, tables, sections=sections, quantities=measured)
    write_text(out.findings, found)
    answer = answer_of(experiment, data, results, measured)
    write_text(out.answer, as_json(answer))

    headings = {name: heading(title, experiment.name, config) for name, title in TITLES.items()}
    drawn = figures_of_arms(*tables, histories, experiment.file.baseline, headings)
    for name, figure in drawn.items():
        save(figure, {suffix: getattr(out, f"{name}_{suffix}") for suffix in ("png", "svg")})
    shown = {name: getattr(out, f"{name}_svg") for name in drawn} | {Path(path).stem: path for path in figures}
    write_page(
        Opening.of(
            answer,
            subtitle(config),
            reading(experiment.file.interpretation, config.title, results, measured),
            next((name for name in experiment.file.headline if name in shown), ARMS),
        ),
        summary(results, measured),
        blocks(results, efficiency, measured),
        found,
        shown,
        out.page,
        caption=lines,
        baseline=experiment.file.baseline,
        sections=sections,
        siblings=siblings,
        browsed=browsed,
    )
