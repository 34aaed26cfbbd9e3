"""How steadily the runs of an arm trained: gradient norms, epochs to most of the gain, and the grid of tuned settings."""

import math
from typing import Any

import polars as pl

from reidflow.tables.arms import EvaluatedArm, known, mean

GAIN = 0.95
"""Share of a run's gain in validation mAP, and of the best point's validation mAP, that counts as nearly all of it."""
STABILITY = {
    "gradient_norm": pl.Float64,
    "gradient_norm_max": pl.Float64,
    "epochs_to_95": pl.Float64,
    "train_flops": pl.Float64,
    "sensitivity_range": pl.Float64,
    "near_best": pl.Int64,
}


def stability(arm: EvaluatedArm) -> dict[str, Any]:
    """Return STABILITY of an arm; None for what was not recorded.

    gradient_norm: before clipping, mean over the steps of each epoch, then over epochs, then over seeds;
    gradient_norm_max: the largest of any step. Both leave out what is not finite, which counts as divergence.
    epochs_to_95: see `epochs_to_gain`, mean over seeds; None where one seed has none, since a mean over the others would
    flatter the arm. train_flops: mean over seeds.
    sensitivity_range, near_best: of the grid of tuned settings, see `grid_spread`.
    """
    trained = arm.history.filter(pl.col("epoch") > 0)
    kept = dict(arm.metrics.select("seed", "val_id_map").iter_rows())
    epochs = [epochs_to_gain(arm.history.filter(pl.col("seed") == seed), known(kept[seed])) for seed in arm.seeds]
    flops = arm.metrics["train_flops"].to_list() if "train_flops" in arm.metrics.columns else [None]
    return {
        "gradient_norm": _mean_of_seeds(trained, "gradient_norm"),
        "gradient_norm_max": max(_finite(trained, "gradient_norm_max"), default=None),
        "epochs_to_95": None if None in epochs else mean(epochs),
        "train_flops": None if None in flops else mean(flops),
        **(grid_spread(arm.chosen["points"]) if arm.chosen else {}),
    }


def epochs_to_gain(history: pl.DataFrame, kept: float | None, gain: float = GAIN) -> int | None:
    """Return the first epoch of a run at which `gain` of its gain in validation mAP was made.

    The gain is that from epoch 0, before training, to `kept`, the validation mAP of the weights that the run kept.
    None without validation, and for a run that does not rise above epoch 0.
    """
    scores = {epoch: known(value) for epoch, value in history.select("epoch", "val_id_map").sort("epoch").iter_rows()}
    start = scores.get(0)
    if start is None or kept is None or kept <= start:
        return None
    wanted = start + gain * (kept - start)
    return next((epoch for epoch, value in scores.items() if value is not None and value >= wanted), None)


def grid_spread(points: list[dict[str, Any]]) -> dict[str, float | int | None]:
    """Return how much a choice on the grid matters.

    sensitivity_range: the highest minus the lowest mean validation mAP over the grid, diverged runs counting as 0.
    near_best: the number of points with at least 95 % of the highest.
    """
    found = [point["val_id_map"] for point in points if known(point["val_id_map"]) is not None]
    if not found:
        return {"sensitivity_range": None, "near_best": None}
    best = max(found)
    return {"sensitivity_range": best - min(found), "near_best": sum(value >= GAIN * best for value in found)}


def _mean_of_seeds(history: pl.DataFrame, column: str) -> float | None:
    seeds = [_finite(history.filter(pl.col("seed") == seed), column) for seed in sorted(set(history["seed"]))]
    means = [mean(values) for values in seeds if values]
    return mean(means) if means else None


def _finite(history: pl.DataFrame, column: str) -> list[float]:
    return [value for value in history[column] if value is not None and math.isfinite(value)]
