"""Which parts of an experiment are worth trying at other strengths."""

import math
import statistics
from collections.abc import Mapping

import polars as pl

BEST = 2


def best_parts(metrics: pl.DataFrame, arms: Mapping[str, str], count: int = BEST) -> list[str]:
    """Return the parts whose own arms have the highest mean validation mAP, best first.

    metrics: a row per run: arm, val_id_map. arms: part -> the arm that has this part alone. A run without a score, or
    whose score is not finite, counts as 0; ties go to the part that stands first.
    """
    means = {part: _mean(metrics.filter(pl.col("arm") == arm)["val_id_map"].to_list()) for part, arm in arms.items()}
    return sorted(arms, key=lambda part: -means[part])[:count]


def _mean(scores: list[float | None]) -> float:
    known = [score if score is not None and math.isfinite(score) else 0.0 for score in scores]
    return statistics.fmean(known) if known else 0.0
