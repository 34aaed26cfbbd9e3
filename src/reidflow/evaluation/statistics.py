"""Whether an arm differs from the baseline: two-way random effects, Holm, verdicts. Definitions: docs/statistics.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Tables and pages take names from here without computing anything: scipy is imported where it is used.

LARGEST = 1.0
DECIMALS = 12
POWER = 0.8
CAUTION = 0.2


class MeanDifference(NamedTuple):
    """Mean difference, its standard error and degrees of freedom; arrays of the leading shape of the input."""

    delta: np.ndarray
    standard_error: np.ndarray
    degrees_of_freedom: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """An arm against the baseline. Nothing is NaN.

    Attributes:
        delta: mean over identities and seeds of arm minus baseline.
        low: lower end of the corrected interval.
        high: upper end of the corrected interval; zero is in the interval if and only if the verdict is inconclusive.
        p: two-sided p value, not corrected.
        p_holm: the same, corrected for all arms by Holm's method.
        verdict: `better`, `worse` or `inconclusive`, from `p_holm` alone.
        smallest_detectable: the difference that this experiment finds with 80 % power at Holm's strictest level.
        standard_error: of delta.
        degrees_of_freedom: of the t distribution; 0 where the spread cannot be estimated.
    """

    delta: float
    low: float
    high: float
    p: float
    p_holm: float
    verdict: str
    smallest_detectable: float
    standard_error: float
    degrees_of_freedom: float


def compare(
    differences: Mapping[str, np.ndarray], level: float = 0.05, largest: float = LARGEST
) -> dict[str, Comparison]:
    """Return the comparison of each arm with the baseline, corrected over all arms.

    Args:
        differences: for each arm (I, S): arm minus baseline of each identity and seed, in units of average precision.
            An identity that is not scored (NaN) is left out, so is a seed of which nothing is scored.
        level: familywise error rate.
        largest: no difference can be larger in size; intervals are cut off there. Infinity for values without bound.
    """
    if not differences:
        return {}
    means = [_one(values, largest) for values in differences.values()]
    p = np.array([p_value(mean) for mean in means])
    p_holm, levels = holm(p, level)
    strictest = level / len(means)
    return {
        arm: _comparison(mean, *figures, strictest, level, largest)
        for arm, mean, figures in zip(differences, means, zip(p, p_holm, levels, strict=True), strict=True)
    }


def ties_with_best(scores: Mapping[str, np.ndarray], level: float = 0.05) -> list[str]:
    """Return the arms that are not significantly different from the best one, the best included, in the order given.

    The best has the highest mean over identities and seeds; every other arm is compared with it, paired, corrected over
    the arms. Only identities and seeds scored in every arm count.

    Args:
        scores: for each arm (I, S): the mean average precision of each identity and seed.
        level: familywise error rate. An arm that is truly the best is left out with about this probability at most.
    """
    if not scores:
        return []
    stacked = np.stack([np.asarray(values, dtype=np.float64) for values in scores.values()])
    kept = _complete(np.where(np.isnan(stacked).any(axis=0), np.nan, 0.0))
    stacked = stacked[:, kept[0]][:, :, kept[1]]
    if stacked.size == 0:
        return list(scores)
    arms = list(scores)
    means = np.round(stacked.mean(axis=(1, 2)), DECIMALS)
    best = int(means.argmax())
    others = {arm: stacked[best] - stacked[row] for row, arm in enumerate(arms) if row != best}
    worse = {arm for arm, found in compare(others, level).items() if found.verdict == "better"}
    return [arm for arm in arms if arm not in worse]


def mean_difference(differences: np.ndarray) -> MeanDifference:
    """Return the mean of (..., I, S) differences with its standard error, identities and seeds both taken as samples.

    Two-way crossed random effects, one value a cell: the variance of the mean is (MS_identity + MS_seed - MS_residual)
    / (I S), not below MS_residual / (I S). Degrees of freedom after Satterthwaite (1946), but cautious about the seeds:
    few seeds that lie close together by chance would make him trust the identities' many degrees of freedom, so his
    formula is evaluated at the mean square of the seeds and at its upper 80 % confidence limit, and the smaller counts.
    Needs two identities and two seeds.
    """
    from scipy.special import gammaincinv

    identities, seeds = differences.shape[-2:]
    identity, seed, residual = _mean_squares(differences)
    free = (identities - 1, seeds - 1)
    scale = free[1] / (2 * gammaincinv(free[1] / 2, CAUTION))
    variance = np.maximum(identity + seed - residual, residual)
    freedom = np.minimum(
        _satterthwaite(identity, seed, residual, free), _satterthwaite(identity, scale * seed, residual, free)
    )
    return MeanDifference(
        differences.mean(axis=(-2, -1)),
        np.sqrt(variance / (identities * seeds)),
        np.maximum(freedom, min(free)),
    )


def p_value(mean: MeanDifference) -> np.ndarray:
    """Return the two-sided p values; 1 where neither difference nor spread is to be seen."""
    from scipy.special import stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(mean.delta) / mean.standard_error
    p = 2 * stdtr(np.maximum(mean.degrees_of_freedom, 1), -t)
    unknown = np.isnan(t) | (np.asarray(mean.degrees_of_freedom) == 0)
    return np.where(unknown, 1.0, p)


def holm(p: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (corrected p values, the level of each arm's interval) for (M,) p values.

    Step k of M, in order of p, tests at level / (M - k). The interval of a rejected arm has the level of its own step;
    all arms from the first failure on share the level of that step. For these p is above it, for those below, so that
    an interval holds zero exactly where the corrected p is above `level`.
    """
    arms = len(p)
    order = np.argsort(p, kind="stable")
    steps = arms - np.arange(arms)
    corrected = np.minimum(np.maximum.accumulate(steps * p[order]), 1.0)
    rejected = int((corrected <= level).sum())
    step = np.minimum(np.arange(arms), min(rejected, arms - 1))
    p_holm, levels = np.empty(arms), np.empty(arms)
    p_holm[order], levels[order] = corrected, level / steps[step]
    return p_holm, levels


def interval(mean: MeanDifference, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 1 - `level` interval of the mean difference."""
    from scipy.special import stdtrit

    half = stdtrit(mean.degrees_of_freedom, 1 - level / 2) * mean.standard_error
    return mean.delta - half, mean.delta + half


def _one(differences: np.ndarray, largest: float) -> MeanDifference:
    values = np.round(np.asarray(differences, dtype=np.float64), DECIMALS)
    identities, seeds = _complete(values)
    values = values[identities][:, seeds]
    if min(values.shape) < 2:
        delta = float(values.mean()) if values.size else 0.0
        return MeanDifference(np.float64(delta), np.float64(largest), np.float64(0.0))
    return mean_difference(values)


def _complete(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of the identities and seeds to keep: seeds with any value, then identities with all of them."""
    missing = np.isnan(values)
    seeds = ~missing.all(axis=0)
    return ~missing[:, seeds].any(axis=1), seeds


def _mean_squares(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    identities, seeds = values.shape[-2:]
    grand = values.mean(axis=(-2, -1), keepdims=True)
    by_identity = values.mean(axis=-1, keepdims=True) - grand
    by_seed = values.mean(axis=-2, keepdims=True) - grand
    rest = values - grand - by_identity - by_seed
    return (
        seeds * np.square(by_identity).sum(axis=(-2, -1)) / (identities - 1),
        identities * np.square(by_seed).sum(axis=(-2, -1)) / (seeds - 1),
        np.square(rest).sum(axis=(-2, -1)) / ((identities - 1) * (seeds - 1)),
    )


def _satterthwaite(identity: np.ndarray, seed: np.ndarray, residual: np.ndarray, free: tuple[int, int]) -> np.ndarray:
    variance = np.maximum(identity + seed - residual, residual)
    parts = identity**2 / free[0] + seed**2 / free[1] + residual**2 / (free[0] * free[1])
    return np.divide(variance**2, parts, out=np.full_like(variance, min(free), dtype=np.float64), where=parts > 0)


def _comparison(
    mean: MeanDifference, p: float, p_holm: float, own_level: float, strictest: float, level: float, largest: float
) -> Comparison:
    from scipy.special import stdtrit

    low, high, detectable = -largest, largest, largest
    if mean.degrees_of_freedom > 0:
        low, high = (float(np.clip(end, -largest, largest)) for end in interval(mean, own_level))
        quantiles = stdtrit(mean.degrees_of_freedom, [1 - strictest / 2, POWER])
        detectable = min(float(quantiles.sum() * mean.standard_error), largest)
    verdict = "inconclusive" if p_holm > level else "better" if mean.delta > 0 else "worse"
    return Comparison(
        delta=float(mean.delta),
        low=low,
        high=high,
        p=float(p),
        p_holm=float(p_holm),
        verdict=verdict,
        smallest_detectable=detectable,
        standard_error=float(mean.standard_error),
        degrees_of_freedom=float(mean.degrees_of_freedom),
    )
