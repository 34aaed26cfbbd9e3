"""The report: table, findings, figure and quantities of pairs of flanks."""

from pathlib import Path

import polars as pl

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.flanks import FIGURES, figures, quantities
from reidflow.analyses.flanks.tables import FLANKS, OTHER, SAME, flanks_table, found_by_arms
from reidflow.evaluation.ranked_runs import shown_arms
from reidflow.tables.experiment import INCONCLUSIVE, RESULTS
from reidflow.tables.layout import block
from reidflow.tables.quantities import compared
from reidflow.tables.sections import Section, render, sections_of

TITLE = "Flanks"
_SHOWN = (
    "arm", "pair", "queries", "identities", "candidates", "id_map", "chance", "top1", "excess", "excess_interval", "verdict",
)  # fmt: skip


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    experiment, layout, made = inputs.experiment, inputs.layout(), inputs.trained().runs
    runs = {arm: [own for own in made if own.arm == arm] for arm in dict.fromkeys(run.arm for run in made)}
    found = found_by_arms(layout, runs, inputs.mirrored())
    table, arms = flanks_table(experiment, found), shown_arms(inputs.table("results", RESULTS))
    rows, baseline = [], experiment.file.baseline
    for quantity, pair in zip(quantities(experiment), (SAME, OTHER), strict=True):
        scores = {arm: own[pair].by_identity(own[pair].ap) for arm, own in found.items()}
        rows += compared(quantity, scores, baseline, margin=experiment.equivalence)
    flank = layout.table["flank"].gather(layout.query)
    return Report(
        tables={"flanks": (table, FLANKS)},
        quantities=rows,
        sections=sections(table, arms, flank.null_count(), len(flank)),
        figures={"flanks": figures.flanks(table, arms, inputs.heading("flanks"))},
    )


def sections(table: pl.DataFrame, arms: list[str], unknown: int, total: int) -> list[Section]:
    """Return the section of the findings, from FLANKS. arms: those in words; unknown, total: numbers of test queries."""
    of = {(row["arm"], row["pair"]): row for row in table.to_dicts()}
    known = [arm for arm in arms if (arm, SAME) in of]
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        arms=[{"arm": arm, "same": of[arm, SAME], "other": of.get((arm, OTHER))} for arm in known],
        inconclusive=INCONCLUSIVE,
        unknown=unknown if known else 0,
        total=total,
    )
    return sections_of(
        text,
        {TITLE: [block("Pairs of flanks", table, _SHOWN, FLANKS)]} if known else {},
        {TITLE: FIGURES} if known else {},
    )
