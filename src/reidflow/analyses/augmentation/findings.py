"""Findings of an experiment on augmentation."""

from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.augmentation import FIGURES, SHEETS
from reidflow.analyses.augmentation.tables import PARTS, SIDES, STRENGTHS, WITHOUT
from reidflow.tables.comparisons import EQUIVALENT
from reidflow.tables.layout import block
from reidflow.tables.sections import Section, render, sections_of

Row = dict[str, Any]


def sections(parts: pl.DataFrame, strengths: pl.DataFrame) -> list[Section]:
    """Return the sections of the findings, from the tables PARTS and STRENGTHS."""
    rows = parts.to_dicts()
    curves = {part: of.to_dicts() for (part,), of in strengths.group_by(["part"], maintain_order=True)}
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        sides={side: by_verdict(rows, side) for side in SIDES},
        opposite=[row["part"] for row in rows if {row["add_verdict"], row["leave_verdict"]} == {"better", "worse"}],
        best={part: found for part, of in curves.items() if (found := best_strength(of)) is not None},
    )
    shown = ["part", *(f"{side}_{name}" for side in SIDES for name in ("delta", "interval", "verdict"))]
    return sections_of(
        text,
        tables={
            "Gain of each augmentation": [block("Each augmentation alone and among all", parts, shown, PARTS)],
            "Strength": [
                block("Strengths", strengths, ["part", "label", "val_id_map", "id_map", "declared"], STRENGTHS)
            ],
        },
        figures={
            "Gain of each augmentation": {"parts": FIGURES["parts"], **SHEETS},
            "Strength": {"strengths": FIGURES["strengths"]},
        },
    )


def by_verdict(rows: list[Row], side: str) -> dict[str, Any]:
    """Return the parts with a comparison on a side: `better`, `worse` and `equivalent`, the largest difference first, and `level`.

    detectable: the largest of the smallest detectable differences of `level`.
    """
    names = ("part", "delta", "low", "high", "smallest_detectable", "verdict")
    own = [{name: row[name if name == "part" else f"{side}_{name}"] for name in names} for row in rows]
    own = sorted((row for row in own if row["delta"] is not None), key=lambda row: -abs(row["delta"]))
    found = {verdict: [row for row in own if row["verdict"] == verdict] for verdict in ("better", "worse", EQUIVALENT)}
    level = [row for row in own if row["verdict"] not in found]
    known = [row["smallest_detectable"] for row in level if row["smallest_detectable"] is not None]
    return {**found, "level": level, "detectable": max(known, default=None)}


def best_strength(rows: list[Row]) -> Row | None:
    """Return the strength of a part with the highest validation mAP; None where none has one.

    without, declared: test mAP without the part and at its arm's strength (None where unknown, or where that is the best);
    at_end: whether the best strength is the least or the greatest tried.
    """
    known = [row for row in rows if row["val_id_map"] is not None]
    tried = [row for row in known if row["label"] != WITHOUT]
    if not tried:
        return None
    best = max(tried, key=lambda row: row["val_id_map"])
    without = next((row["id_map"] for row in known if row["label"] == WITHOUT), None)
    declared = next((row for row in tried if row["declared"] and row is not best), None)
    return {**best, "without": without, "declared": declared, "at_end": best is tried[0] or best is tried[-1]}
