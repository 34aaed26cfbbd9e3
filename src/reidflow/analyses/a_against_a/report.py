"""Report on runs of one configuration."""

from pathlib import Path

import polars as pl

from reidflow.analyses.a_against_a.tables import FALSE_VERDICTS, LEVEL, SEEDS, false_verdicts, pooled
from reidflow.analyses.analysis import Inputs, Report
from reidflow.evaluation.runs import METRICS, PER_QUERY
from reidflow.tables.arms import evaluated_arms
from reidflow.tables.layout import block
from reidflow.tables.sections import Section, render, sections_of

_SHOWN = ("arms", "experiments", "wrong", "share", "share_interval", "half_width")


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    metrics, per_query = inputs.table("metrics", METRICS), inputs.table("per_query", PER_QUERY)
    scores = pooled(list(evaluated_arms(inputs.experiment, metrics, per_query).values()))
    table = false_verdicts(scores)
    return Report(
        tables={"false_verdicts": (table, FALSE_VERDICTS)},
        sections=sections(table, scores.shape[1]),
    )


def sections(table: pl.DataFrame, runs: int) -> list[Section]:
    """Return the section of the findings. table: FALSE_VERDICTS. runs: behind it."""
    every = table.filter(pl.col("arms").is_null()).to_dicts()
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        every=every[0] if every else None,
        most=table["arms"].max(),
        runs=runs,
        seeds=SEEDS,
        level=LEVEL,
    )
    shown = (
        {"Wrong verdicts": [block("By number of arms; last, all of them", table, _SHOWN, FALSE_VERDICTS)]}
        if every
        else {}
    )
    return sections_of(text, shown, {})
