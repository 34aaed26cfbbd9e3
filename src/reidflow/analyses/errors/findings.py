"""The findings on wrong first candidates: whether appearance misleads the arms."""

from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.errors import FIGURES
from reidflow.analyses.errors.tables import ERRORS, LESS, MORE
from reidflow.evaluation.error_patterns import CUES
from reidflow.store.tables import Column
from reidflow.tables.layout import block
from reidflow.tables.sections import Section, render, sections_of

TITLE = "Wrong first candidates"
_SHOWN = (
    "arm", "cue", "queries", "wrong", "share", "share_interval", "chance", "excess", "excess_interval", "p_adjusted", "verdict",
    "against", "against_interval", "against_verdict", "seeds",
)  # fmt: skip
_CUE = Column("cue", pl.String, "cue", "text", "Property of appearance in which images are compared.")
_DISTANCE = Column("distance", pl.String, "distance", "text", "How the distance of two images in the cue is measured.")


def sections(errors: pl.DataFrame) -> list[Section]:
    """Return the section of the findings, from the table ERRORS."""
    misled = MORE in errors["verdict"]
    context = {"title": TITLE, "arms": by_arm(errors), "misled": misled, "more": MORE, "less": LESS}
    text = render(Path(__file__).with_name("findings.md.j2"), **context)
    cues = [{"cue": cue, "distance": distance} for cue, distance in CUES.items()]
    tables = [block("Wrong first candidates", errors, _SHOWN, ERRORS)]
    tables.append(block("Cues, measured within the mask where there is one", cues, [_CUE, _DISTANCE]))
    return sections_of(text, {TITLE: tables}, {TITLE: FIGURES})


def by_arm(errors: pl.DataFrame) -> list[dict[str, Any]]:
    """Return a row per arm: its rows of ERRORS with a share by verdict, and those that differ from the baseline.

    wrong, queries: of the cue with the most; an arm without a wrong first candidate has no rows.
    """
    found = []
    for name in dict.fromkeys(errors["arm"]):
        rows = errors.filter(pl.col("arm") == name).to_dicts()
        known = [row for row in rows if row["share"] is not None]
        found.append(
            {
                "arm": name,
                "baseline": rows[0]["baseline"],
                "queries": rows[0]["queries"],
                "wrong": max((row["wrong"] for row in known), default=0.0),
                "verdicts": {v: [row for row in known if row["verdict"] == v] for v in (MORE, LESS)},
                "like_chance": [row for row in known if row["verdict"] not in (MORE, LESS)],
                "compared": any(row["against"] is not None for row in rows),
                "against": {v: [row for row in rows if row["against_verdict"] == v] for v in (MORE, LESS)},
            }
        )
    return found
