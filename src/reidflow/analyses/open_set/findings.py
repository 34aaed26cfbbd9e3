"""The findings on new individuals."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.open_set import FIGURES, SHEETS
from reidflow.analyses.open_set.tables import LINKING, OPEN_SET
from reidflow.evaluation.open_set import ALIKE
from reidflow.tables.layout import block
from reidflow.tables.sections import Section, render, sections_of

NEAR = 0.02
"""A measured rate of false matches this near to the promised one keeps the promise exactly enough to say so."""
PROMISE, COST, WHO = "Promised and measured", "What a decision costs", "Suspected individuals"
_PROMISE = (
    "arm",
    "auroc",
    "promised",
    "false_match",
    "trials",
    "attainable",
    "left_out_seeds",
    "new_val",
    "new_test",
    "calibration_error",
)
_COST = ("arm", "true_match", "baks", "baus", "geometric", "best_false_match", "best_geometric")


def sections(
    arms: pl.DataFrame, rates: pl.DataFrame, linking: pl.DataFrame, measured: Sequence[dict[str, Any]]
) -> list[Section]:
    """Return the sections of the findings. arms, rates, linking: OPEN_SET, RATES, LINKING; measured: rows of QUANTITIES."""
    all_ = [row for row in arms.to_dicts() if row["false_match"] is not None]
    if not all_:
        return []
    diverged = rates.filter(pl.col("threshold").is_null())["arm"].unique().to_list()
    rows = [row for row in all_ if row["arm"] not in diverged]
    lower = rates.filter(pl.col("alike") < ALIKE)["arm"].unique().to_list()
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        promised=all_[0]["promised"],
        diverged=[row for row in all_ if row["arm"] in diverged],
        kept=[row for row in rows if abs(row["false_match"] - row["promised"]) <= NEAR],
        below=[row for row in rows if row["false_match"] < row["promised"] - NEAR],
        above=[row for row in rows if row["false_match"] > row["promised"] + NEAR],
        spread=[_spread(rates, row) for row in rows if row["seeds"] > 1],
        few=[row for row in rows if row["attainable"] > row["promised"]],
        lower=[row for row in rows if row["arm"] in lower],
        without=[row for row in rows if row["left_out_seeds"] == 0 and row["arm"] not in lower],
        counts=all_[0],
        rows=rows,
        better=[row for row in measured if row["verdict"] in ("better", "worse")],
        linking=linking.to_dicts(),
    )
    tables = {
        PROMISE: [block("A promised rate of false matches, measured", all_, _PROMISE, OPEN_SET)],
        COST: [block("Known and new individuals at the chosen threshold", all_, _COST, OPEN_SET)],
        WHO: [block("Queries called new, put together", linking, tuple(LINKING.columns)[1:], LINKING)],
    }
    figures = {
        PROMISE: {"promises": FIGURES["promises"]},
        COST: {"roc": FIGURES["roc"], "risk": FIGURES["risk"]},
        WHO: {"unknowns": SHEETS["unknowns"]},
    }
    return sections_of(text, tables, figures)


def _spread(rates: pl.DataFrame, row: dict[str, Any]) -> dict[str, Any]:
    own = rates.filter((pl.col("arm") == row["arm"]) & (pl.col("promised") == row["promised"]))["false_match"]
    return {"arm": row["arm"], "low": own.min(), "high": own.max()}
