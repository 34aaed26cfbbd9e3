"""Findings on the schedules of an experiment."""

from pathlib import Path

import polars as pl

from reidflow.analyses.schedules import FIGURES
from reidflow.analyses.schedules.tables import SUMMARY, summary_table
from reidflow.tables.layout import block
from reidflow.tables.sections import Section, render, sections_of


def sections(rates: pl.DataFrame, kept: pl.DataFrame) -> list[Section]:
    """Return the section of the findings, from the RATES and KEPT tables."""
    summary = summary_table(rates, kept)
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        arms=summary.filter(pl.col("kept").is_not_null()).to_dicts(),
        inexact=rates.filter(~pl.col("exact"))["arm"].unique(maintain_order=True).to_list(),
    )
    return sections_of(text, {"Schedules": [block("", summary, SUMMARY)]}, {"Schedules": FIGURES})
