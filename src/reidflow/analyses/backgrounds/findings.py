"""Findings of an experiment on backgrounds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.backgrounds import FIGURES, SHEETS
from reidflow.analyses.backgrounds.tables import HIGHER, LOWER, REFERENCE, RELIANCE, UNDEFINED
from reidflow.evaluation.image_versions import BOTH, QUERY
from reidflow.store.tables import Column
from reidflow.tables.comparisons import LEVEL
from reidflow.tables.experiment import INCONCLUSIVE
from reidflow.tables.layout import Block, block
from reidflow.tables.sections import Section, render, sections_of
from reidflow.tables.text import number, signed

Row = dict[str, Any]


def sections(
    matrix: pl.DataFrame, reliance: pl.DataFrame, results: pl.DataFrame, probes: Mapping[str, str], level: float = LEVEL
) -> list[Section]:
    """Return the sections of the findings, from TESTED_MATRIX, RELIANCE and the experiment's RESULTS.

    probes: role -> label of the version, as in the experiment's file.
    """
    both, query = (matrix.filter(pl.col("mode") == mode) for mode in (BOTH, QUERY))
    own = both.filter(pl.col("own") & (pl.col("verdict") != REFERENCE))
    others = reliance.filter(~pl.col("baseline")).sort("delta", nulls_last=True, maintain_order=True).to_dicts()
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        level=level,
        probes=probes,
        base=reliance.row(by_predicate=pl.col("baseline"), named=True),
        others=others,
        undefined=[row for row in reliance.to_dicts() if not row["defined"]],
        by_verdict={v: [r for r in others if r["verdict"] == v] for v in (LOWER, HIGHER, INCONCLUSIVE, UNDEFINED)},
        choice=recommendation(others),
        on_test={row["arm"]: row for row in results.filter(pl.col("delta").is_not_null()).to_dicts()},
        control=control_check(reliance),
        helped=own.filter(pl.col("tested_on") == probes["foreground"])["arm"].to_list(),
        own=own.to_dicts(),
        both=largest_losses(both, probes),
        query=largest_losses(query, probes),
        altered=query.height > 0,
    )
    figures = {
        "Reliance on the background": {"reliance": FIGURES["reliance"]},
        "Trained on, tested on": {"tested_on": FIGURES["tested_on"]},
        "Altered queries, unchanged gallery": {"query_only": FIGURES["query_only"]},
        "The versions": SHEETS,
    }
    shown = [
        "arm", "background", "control", "foreground", "silhouette", "chance", "reliance", "range", "delta", "interval",
        "p_adjusted", "verdict", "note",
    ]  # fmt: skip
    tables = {
        "Reliance on the background": [block("", reliance, shown, RELIANCE)],
        "Trained on, tested on": [_wide("Balanced mAP: trained on (rows), tested on (columns)", both, _value)],
    }
    if query.height:
        title = f"Difference with altered queries (* significant at {level:.0%}, corrected)"
        tables["Altered queries, unchanged gallery"] = [_wide(title, query, _change)]
    return sections_of(text, tables, figures)


def recommendation(others: list[Row]) -> dict[str, list[Row]]:
    """Return the arms with significantly lower reliance: `best` to use, `behind` (lower by less), `costly` (worse foreground)."""
    lower = [row for row in others if row["verdict"] == LOWER]
    costly = [row for row in lower if row["foreground_verdict"] == "worse"]
    behind = [row for row in lower if not row["recommended"] and row not in costly]
    return {"best": [row for row in lower if row["recommended"]], "behind": behind, "costly": costly}


def control_check(reliance: pl.DataFrame) -> dict[str, Any]:
    """Return which arms rank the control above chance (`leaking`), below it, or have no test (`unknown`).

    highest: largest upper end of control minus chance. The control has the holes in unrelated backgrounds: above chance,
    the shape of the holes identifies animals.
    """
    rows = reliance.to_dicts()
    known = [row["control_high"] for row in rows if row["control_high"] is not None]
    return {
        "leaking": [row for row in rows if row["control_verdict"] == "better"],
        "below": [row["arm"] for row in rows if row["control_verdict"] == "worse"],
        "unknown": [row["arm"] for row in rows if row["control_verdict"] is None],
        "highest": max(known, default=None),
    }


def largest_losses(rows: pl.DataFrame, probes: Mapping[str, str]) -> dict[str, list]:
    """Return `lost`: the row of each arm's largest significant loss; `level`: the arms without one.

    Versions without the animal as it is are left out: a loss on them says nothing about the arm.
    """
    apart = [probes[role] for role in ("background", "control", "silhouette")]
    shown = rows.filter(~pl.col("tested_on").is_in(apart) & (pl.col("verdict") != REFERENCE))
    found: dict[str, list] = {"lost": [], "level": []}
    for (arm,), of in shown.group_by(["arm"], maintain_order=True):
        worse = of.filter(pl.col("verdict") == "worse").sort("delta", maintain_order=True).to_dicts()
        if worse:
            found["lost"].append(worse[0])
        else:
            found["level"].append(arm)
    return found


def _wide(title: str, rows: pl.DataFrame, show: Any) -> Block:
    """Return a row for each arm and a column for each version."""
    versions = rows["tested_on"].unique(maintain_order=True).to_list()
    cells: dict[str, Row] = {}
    for row in rows.to_dicts():
        cells.setdefault(row["arm"], {"arm": row["arm"]})[f"on {row['tested_on']}"] = show(row)
    meaning = "Version of the images that the arms are tested on."
    shown = [Column(f"on {version}", pl.String, version, "text", meaning) for version in versions]
    return block(title, list(cells.values()), ["arm", *shown])


def _value(row: Row) -> str:
    return number(row["id_map"])


def _change(row: Row) -> str:
    return signed(row["delta"]) + (" *" if row["verdict"] in ("better", "worse") else "")
