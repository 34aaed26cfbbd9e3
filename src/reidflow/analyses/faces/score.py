"""A competition's score, a weighted sum of top-k accuracies, and how much of it is chance."""

import math
import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

from scipy.special import stdtrit

from reidflow.tables.arms import mean

KEYS = ("top1", "top5", "top10")
"""Shares of the queries with a hit among the k best; each holds the one before."""
ROUNDING = 0.05
"""A published score is told with one decimal."""


class Spread(NamedTuple):
    """Mean over seeds; std, low and high (95 % interval of the mean) are None for one seed."""

    mean: float
    std: float | None
    low: float | None
    high: float | None


def score(weights: Mapping[str, float], values: Mapping[str, Any]) -> float:
    """Return the score of top-k accuracies. weights: k -> weight, some of KEYS."""
    return sum(weight * values[key] for key, weight in weights.items())


def score_error(weights: Mapping[str, float], values: Mapping[str, Any], queries: int) -> float | None:
    """Return the standard error of a score from its number of queries, were other ones drawn.

    A query is worth the weights of all k that its first hit is within; as the accuracies are nested, they tell how many
    queries are worth what, and so the variance. None without queries.
    """
    shares = [values[key] for key in KEYS]
    if not queries or any(share is None or math.isnan(share) for share in shares):
        return None
    worth = [sum(weights.get(key, 0.0) for key in KEYS[place:]) for place in range(len(KEYS))]
    added = [share - before for share, before in zip(shares, [0.0, *shares], strict=False)]
    square = sum(share * value**2 for share, value in zip(added, worth, strict=True))
    return math.sqrt(max(square - score(weights, values) ** 2, 0.0) / queries)


def share_error(share: float | None, queries: int | None) -> float | None:
    """Return the standard error of a share of so many queries, by the binomial distribution."""
    if share is None or not queries or math.isnan(share):
        return None
    return math.sqrt(share * (1 - share) / queries)


def spread(values: list[float], level: float = 0.05) -> Spread:
    """Return the mean of the values of several seeds with the t interval of the mean."""
    centre = mean(values)
    if len(values) < 2:
        return Spread(centre, None, None, None)
    std = statistics.stdev(values)
    half = float(stdtrit(len(values) - 1, 1 - level / 2)) * std / math.sqrt(len(values))
    return Spread(centre, std, centre - half, centre + half)


def whole_queries(told: Mapping[str, float], queries: int, weights: Mapping[str, float]) -> bool | None:
    """Return whether published accuracies, told in three decimals, are whole numbers of so many queries.

    With a score it must be that of these whole numbers. None where an accuracy is not told.
    """
    if any(key not in told for key in KEYS):
        return None
    exact = {key: round(told[key] * queries) / queries for key in KEYS}
    fits = all(abs(exact[key] - told[key]) <= 0.0005 + 1e-9 for key in KEYS)
    return fits and ("score" not in told or abs(score(weights, exact) - told["score"]) <= ROUNDING + 1e-9)
