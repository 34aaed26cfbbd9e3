"""What one setting of a configuration is worth: the score of every arm that differs from the baseline in it alone."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from reidflow.analyses.faces.arms import FACTORS
from reidflow.analyses.faces.score import spread
from reidflow.store.tables import Contract

_DIFFERENCE = ("difference", "difference_low", "difference_high")
_DELTA = ("delta", "delta_low", "delta_high", "p_holm")
ABLATION = Contract(
    "what one setting is worth",
    {
        "side": pl.String,
        "factor": pl.String,  # a setting of CONFIGURATIONS, the one in which the arm differs from the baseline
        "configuration": pl.String,
        "arm": pl.String,
        "value": pl.String,
        "same_runs": pl.Boolean,  # as the baseline's on this side: the setting cannot change anything
        **dict.fromkeys(_DIFFERENCE, pl.Float64),  # score minus the baseline's, paired by seed, t interval of the mean
        "difference_by_seed": pl.List(pl.Float64),
        **dict.fromkeys(_DELTA, pl.Float64),  # mAP against the same arm, of the experiment's results
        "verdict": pl.String,
        "published_difference": pl.Float64,
    },
    nullable=frozenset(
        {"arm", *_DIFFERENCE, "difference_by_seed", *_DELTA, "verdict", "published_difference", "same_runs"}
    ),
)
WORDS = {
    "architecture": "architecture",
    "learning_rate": "learning rate",
    "epochs": "epochs",
    "batch": "batch size",
    "normalised": "normalisation",
    "augmented": "augmentation",
}


def ablation_table(configurations: pl.DataFrame, results: pl.DataFrame) -> pl.DataFrame:
    """Return ABLATION: by side and setting, in the order of the configurations, the baseline's own left out."""
    rows, told = [], {row["arm"]: row for row in results.to_dicts()}
    for (_,), own in configurations.partition_by("side", as_dict=True, maintain_order=True).items():
        base = next((row for row in own.to_dicts() if row["baseline"]), None)
        if base is None:
            continue
        found = [(_factor(row, base), row) for row in own.to_dicts()]
        for factor in FACTORS:
            rows += [_row(row, base, factor, told) for changed, row in found if changed == factor]
    return pl.DataFrame(rows, schema=ABLATION.columns)


def setting_text(factor: str, value: Any) -> str:
    """Return a setting's value in words."""
    if isinstance(value, bool):
        return ("" if value else "no ") + WORDS[factor]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _factor(row: Mapping[str, Any], base: Mapping[str, Any]) -> str | None:
    """Return the one setting in which a row differs from the baseline; None for no or several ones."""
    changed = [factor for factor in FACTORS if row[factor] != base[factor]]
    return changed[0] if len(changed) == 1 else None


def _row(row: dict[str, Any], base: dict[str, Any], factor: str, told: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    ours, theirs = row["score_by_seed"], base["score_by_seed"]
    found = {
        "side": row["side"],
        "factor": factor,
        "configuration": row["configuration"],
        "arm": row["arm"],
        "value": setting_text(factor, row[factor]),
        "same_runs": None if row["arm"] is None else row["arm"] == base["arm"],
        "published_difference": _minus(row["published_score"], base["published_score"]),
        **_compared(told.get(row["arm"], {}), told.get(base["arm"], {})),
    }
    if ours and theirs and len(ours) == len(theirs):
        by_seed = [own - other for own, other in zip(ours, theirs, strict=True)]
        mean, _, low, high = spread(by_seed)
        found |= dict(zip(_DIFFERENCE, (mean, low, high), strict=True)) | {"difference_by_seed": by_seed}
    return {column: found.get(column) for column in ABLATION.columns}


def _compared(result: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return an arm's comparison with the reference of its side: the experiment's baseline, or the arm's own control."""
    if not result or not base or result["arm"] == base["arm"]:
        return {}
    if base["baseline"]:
        return {column: result[column] for column in (*_DELTA, "verdict")}
    if result["against"] == base["arm"]:
        return {column: result[f"against_{column.removeprefix('delta_')}"] for column in (*_DELTA, "verdict")}
    return {}


def _minus(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other
