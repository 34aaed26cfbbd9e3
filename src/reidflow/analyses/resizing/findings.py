"""Findings of an experiment on image sizes."""

from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.resizing import FIGURES
from reidflow.analyses.resizing.tables import BASELINE, RESIZING, SIZES
from reidflow.store.tables import Column
from reidflow.tables.columns import column
from reidflow.tables.comparisons import EQUIVALENT
from reidflow.tables.layout import Block, block
from reidflow.tables.sections import Section, render, sections_of
from reidflow.tables.text import NOTHING, interval, plural, signed

AWAY = 0.1
"""Arms to be matched by FLOPs are named where theirs differ from the baseline's by more than this share."""

Row = dict[str, Any]


def sections(training: pl.DataFrame, sizes: pl.DataFrame) -> list[Section]:
    """Return the sections of the findings, from the tables RESIZING and SIZES."""
    rows = training.to_dicts()
    others = [row for row in rows if not row["baseline"] and row["delta"] is not None]
    cheaper = [row for row in others if row["share"] is not None and row["share"] < 1 - 1e-9]
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        cheaper=cheaper,
        cheapest=cheapest(cheaper),
        matched={key: by_verdict([row for row in others if row["matched"] == key]) for key in ("epochs", "flops")},
        away=[row for row in rows if row["matched"] == "flops" and row["share"] and abs(row["share"] - 1) > AWAY],
        scales={scale: by_verdict(of) for scale, of in _by_scale(sizes).items()},
        robust={scale: most_and_least_robust(of) for scale, of in _by_scale(sizes, True).items() if len(of) > 1},
    )
    tables, figures = (
        {"Training cost": [_training_block(training)]},
        {"Training cost": {name: FIGURES[name] for name in ("stages", "training_flops")}},
    )
    if not sizes.is_empty():
        tables["Tested at other sizes"] = [_sizes_block(sizes)]
        figures["Tested at other sizes"] = {"sizes": FIGURES["sizes"]}
    return sections_of(text, tables, figures)


def cheapest(cheaper: list[Row]) -> Row | None:
    """Return the arm with the fewest training FLOPs among those that are not significantly worse at full size."""
    safe = [row for row in cheaper if row["verdict"] not in ("worse", None)]
    return min(safe, key=lambda row: (row["share"], row["arm"]), default=None)


def by_verdict(rows: list[Row]) -> dict[str, list[Row]]:
    """Return the arms that are better and worse than the baseline, equivalent to it, and `level`: the inconclusive ones."""
    found: dict[str, list[Row]] = {"better": [], "worse": [], EQUIVALENT: [], "level": []}
    for row in rows:
        if not row["baseline"] and row["delta"] is not None:
            found[row["verdict"] if row["verdict"] in found else "level"].append(row)
    return found


def most_and_least_robust(rows: list[Row]) -> tuple[Row, Row]:
    """Return the arms whose mean mAP loses least and most from full size to another one."""
    ranked = sorted(rows, key=lambda row: (-row["from_full"], row["arm"]))
    return ranked[0], ranked[-1]


def _by_scale(sizes: pl.DataFrame, other: bool = False) -> dict[float, list[Row]]:
    kept = sizes.filter(pl.col("scale") != 1.0) if other else sizes
    return {scale: of.to_dicts() for (scale,), of in kept.group_by(["scale"], maintain_order=True)}


def stages(sizes: list[int]) -> list[tuple[int, int]]:
    """Return the stages of a list of sizes: (size, epochs)."""
    return [(size, len(list(run))) for size, run in groupby(sizes)]


def schedule(sizes: list[int]) -> str:
    """Return the stages in words: `16 px for 3 epochs, then 32 px for 3`."""
    if not sizes:
        return NOTHING
    (size, length), *rest = stages(sizes)
    return ", then ".join([f"{size} px for {plural(length, 'epoch')}", *(f"{s} px for {n}" for s, n in rest)])


def times(scale: float) -> str:
    """Return a scale as a factor: `0.5×`."""
    return f"{scale:g}×"


def _training_block(training: pl.DataFrame) -> Block:
    rows = [row | {"sizes": schedule(row["sizes"])} for row in training.to_dicts()]
    images = Column("sizes", pl.String, "images", "text", RESIZING.shown["sizes"].meaning)
    shown = ["arm", images, "matched", "epochs", "train_flops", "share", "id_map", "delta", "interval", "verdict"]
    return block("Training", rows, shown, RESIZING)


def _sizes_block(sizes: pl.DataFrame) -> Block:
    shown: list[str | Column] = ["arm"]
    rows: dict[str, Row] = {}
    for scale, of in _by_scale(sizes).items():
        at = f" at {times(scale)}"
        difference = f"{column('delta').meaning.removesuffix('.')}, with its interval."
        shown.append(column("id_map").but(name=f"id_map{at}", heading=f"balanced mAP{at}"))
        shown.append(Column(f"delta{at}", pl.String, f"difference{at}", "text", difference))
        for row in of:
            delta = f"{signed(row['delta'])} {interval(row['delta_low'], row['delta_high'])}"
            cells = {f"id_map{at}": row["id_map"], f"delta{at}": BASELINE if row["baseline"] else delta}
            rows.setdefault(row["arm"], {"arm": row["arm"]}).update(cells)
    return block("mAP at each size", list(rows.values()), shown, SIZES)
