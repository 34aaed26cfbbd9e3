"""Whether an arm differs from the baseline: variances borrowed across arms, simultaneous intervals, verdicts.

Definitions, and how often they are wrong: docs/statistics.md. Standard errors of one difference: `variance`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from reidflow.evaluation.variance import MeanDifference, Spread, kept, mean_difference, spread_of, stacked, summarise

# Tables and pages take names from here without computing anything: scipy is imported where it is used.

LARGEST = 1.0
DECIMALS = 12
POWER = 0.8
FEWEST = 3
UNLIKELY = 0.01
NODES = 24
ROUNDING = 1e-9
"""Standard errors that differ by no larger share are equal."""

__all__ = [
    "Comparison",
    "Family",
    "MeanDifference",
    "compare",
    "family_of",
    "holm",
    "interval",
    "mean_difference",
    "p_value",
    "pays",
    "ties_with_best",
]


@dataclass(frozen=True)
class Comparison:
    """An arm against the baseline. Nothing is NaN.

    Attributes:
        delta: mean over identities and seeds of arm minus baseline.
        low: lower end of the corrected interval.
        high: upper end of the corrected interval. Zero is outside if and only if `p_adjusted` is at most the level.
        p: two-sided p value of this arm alone, not corrected.
        p_adjusted: the same, corrected for all arms.
        verdict: `equivalent` where the whole interval is within the margin; else `better` or `worse` where zero is outside
            of it; else `inconclusive`.
        smallest_detectable: the difference that this experiment finds with 80 % power at the strictest level.
        standard_error: of delta.
        degrees_of_freedom: of `standard_error`; 0 where the spread cannot be estimated.
        of_identities: the part of the variance of delta that is due to identities.
        of_seeds: the part that is due to seeds, the residual included.
    """

    delta: float
    low: float
    high: float
    p: float
    p_adjusted: float
    verdict: str
    smallest_detectable: float
    standard_error: float
    degrees_of_freedom: float
    of_identities: float = 0.0
    of_seeds: float = 0.0


class Family(NamedTuple):
    """Arms with as many seeds, whose seed variances are estimated together. Arrays of the shape (..., A).

    An arm's error is taken to be c E + e: E is the error due to seeds that all arms share, mostly the baseline's, a t
    variable of `common_freedom` degrees, c its scale (`common`); e is the arm's own, a t variable of scale `own` and `own_freedom`
    degrees. `borrowed` is the standard error of their sum.
    """

    common: np.ndarray
    common_freedom: int
    own: np.ndarray
    own_freedom: np.ndarray

    @property
    def borrowed(self) -> np.ndarray:
        """Standard errors of the arms, variances of seeds borrowed across them."""
        return np.hypot(self.own, self.common)

    @property
    def freedom(self) -> np.ndarray:
        """Degrees of freedom of `borrowed`, after Satterthwaite."""
        parts = self.own**4 / self.own_freedom + self.common**4 / self.common_freedom
        return self.borrowed**4 / parts

    def without(self, arms: np.ndarray) -> "Family":
        """Return the family without the arms at these positions."""
        common, own, freedom = (np.delete(part, arms, -1) for part in (self.common, self.own, self.own_freedom))
        return self._replace(common=common, own=own, own_freedom=freedom)

    def exceeded(self, factor: np.ndarray | float) -> np.ndarray:
        """Return the probability (...) that an arm's error is over `factor` (...) times its borrowed standard error.

        Quadrature over the shared error; given that, the arms' own errors are independent. Correlation between them by
        way of the baseline's identities makes the true probability lower (Sidak's inequality).
        """
        from scipy.special import stdtr, stdtrit

        quantiles, weights = _nodes()
        shared = stdtrit(self.common_freedom, quantiles)[:, None] * self.common[..., None, :]
        limits = (np.asarray(factor)[..., None] * self.borrowed)[..., None, :]
        scale = np.maximum(self.own, np.finfo(float).tiny)[..., None, :]
        freedom = self.own_freedom[..., None, :]
        inside = stdtr(freedom, (limits - shared) / scale) - stdtr(freedom, (-limits - shared) / scale)
        return np.maximum(1 - inside.prod(-1) @ weights, 0.0)

    def factor(self, level: float) -> float:
        """Return how many borrowed standard errors no arm's error exceeds but with the probability `level`."""
        from scipy.optimize import brentq

        highest = 2.0
        while self.exceeded(highest) > level:
            highest *= 2
        return float(brentq(lambda factor: self.exceeded(factor) - level, highest / 2, highest, xtol=1e-9))


def compare(
    differences: Mapping[str, np.ndarray], level: float = 0.05, largest: float = LARGEST, margin: float | None = None
) -> dict[str, Comparison]:
    """Return the comparison of each arm with the baseline, corrected over all arms.

    Args:
        differences: for each arm (I, S): arm minus baseline of each identity and seed, in units of average precision; with
            folds, of each identity and fold. Columns are paired across arms by position. NaN is what was not scored: an
            identity or a column without any value is left out.
        level: familywise error rate.
        largest: no difference can be larger in size; intervals are cut off there. Infinity for values without bound.
        margin: a difference that is certainly smaller in size is `equivalent`. None: there is no such verdict.
    """
    spreads = {
        arm: spread_of(np.round(np.asarray(values, np.float64), DECIMALS)) for arm, values in differences.items()
    }
    known = {arm: spread for arm, spread in spreads.items() if spread.known}
    found = {arm: _unknown(float(spread.delta), largest) for arm, spread in spreads.items() if arm not in known}
    for columns in sorted({_columns(spread) for spread in known.values()}):
        group = {arm: spread for arm, spread in known.items() if _columns(spread) == columns}
        # Arms with fewer seeds are a family of their own, with its share of the level.
        share = len(group) / len(known)
        for arm, judged in _judge(group, level * share).items():
            found[arm] = judged.comparison(group[arm], share, level, largest, margin)
    return {arm: found[arm] for arm in differences}


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
    rows, columns = kept(np.where(np.isnan(stacked).any(axis=0), np.nan, 0.0))
    stacked = stacked[:, rows][:, :, columns]
    if stacked.size == 0:
        return list(scores)
    arms = list(scores)
    means = np.round([spread_of(values).delta for values in stacked], DECIMALS)
    best = int(means.argmax())
    others = {arm: stacked[best] - stacked[row] for row, arm in enumerate(arms) if row != best}
    worse = {arm for arm, found in compare(others, level).items() if found.verdict == "better"}
    return [arm for arm in arms if arm not in worse]


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
    p_adjusted, levels = np.empty(arms), np.empty(arms)
    p_adjusted[order], levels[order] = corrected, level / steps[step]
    return p_adjusted, levels


def interval(mean: MeanDifference, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 1 - `level` interval of the mean difference."""
    from scipy.special import stdtrit

    half = stdtrit(mean.degrees_of_freedom, 1 - level / 2) * mean.standard_error
    return mean.delta - half, mean.delta + half


def family_of(spread: Spread) -> Family:
    """Return the family of arms, whose parts of the variance and columns are stacked: (..., A), (..., A, S).

    What the arms' mean column varies by is shared. The seeds' part of an arm is its residual's times a ratio that all arms
    share: the sum over arms of the variance of their columns about the mean column, over that of the residuals. An arm that
    hardly differs from the baseline does not share its noise: no more is taken to be shared than the upper 99 % confidence
    limit of what the arm's own columns vary by.
    """
    from scipy.special import gammaincinv

    arms, columns = spread.columns.shape[-2:]
    free = columns - 1
    mean = spread.columns.mean(-2, keepdims=True)
    shared = columns / free * np.square(mean).sum(-1)
    apart = arms / (arms - 1) * columns / free * np.square(spread.columns - mean).sum(-1)
    # Where an arm has no residual, as with one value a column, the variances are pooled as they are.
    whole = (spread.residual > 0).all(-1, keepdims=True)
    scale = np.where(whole, spread.residual, 1.0)
    pooled = (1 - 1 / arms) * apart.sum(-1, keepdims=True) / scale.sum(-1, keepdims=True) * scale
    common = np.minimum(shared, spread.column * free / (2 * gammaincinv(free / 2, UNLIKELY)))
    pooled = np.maximum(pooled, spread.residual - common)
    identity = np.maximum(spread.identity - spread.residual, 0.0)
    variance = identity + pooled
    parts = np.where(identity > 0, (spread.identity**2 + spread.residual**2 / free) / spread.freedom, 0.0)
    parts = parts + pooled**2 / ((arms - 1) * free)
    least = np.array(np.broadcast_to(np.minimum(spread.freedom, (arms - 1) * free), variance.shape))
    freedom = np.divide(variance**2, parts, out=least.copy(), where=parts > 0)
    return Family(np.sqrt(common), free, np.sqrt(variance), np.maximum(freedom, least))


class _Judged(NamedTuple):
    """What a method says of an arm.

    mean: with the standard error that counts. p: corrected. half: of the width of its interval. factor: how many standard
    errors are significant at the strictest level. alone: p of the arm alone.
    """

    mean: MeanDifference
    p: float
    half: float
    factor: float
    alone: float

    def comparison(
        self, spread: Spread, share: float, level: float, largest: float, margin: float | None
    ) -> Comparison:
        """Return the comparison of an arm. share: of the level that its family has."""
        from scipy.special import stdtrit

        delta, error, freedom = map(float, self.mean)
        low, high = (float(np.clip(end, -largest, largest)) for end in (delta - self.half, delta + self.half))
        p = min(self.p / share, 1.0)
        of_identities = min(max(float(spread.identity - spread.residual), 0.0), error**2)
        verdict = "inconclusive" if p > level else "better" if delta > 0 else "worse"
        return Comparison(
            delta=delta,
            low=low,
            high=high,
            p=self.alone,
            p_adjusted=p,
            verdict="equivalent" if margin is not None and -margin < low and high < margin else verdict,
            smallest_detectable=min(float(self.factor + stdtrit(freedom, POWER)) * error, largest),
            standard_error=error,
            degrees_of_freedom=freedom,
            of_identities=of_identities,
            of_seeds=error**2 - of_identities,
        )


def _unknown(delta: float, largest: float) -> Comparison:
    """Return the comparison of an arm that has no spread to judge by."""
    return Comparison(delta, -largest, largest, 1.0, 1.0, "inconclusive", largest, largest, 0.0, 0.0, largest**2)


def _columns(spread: Spread) -> int:
    return spread.columns.shape[-1]


def _judge(group: Mapping[str, Spread], level: float) -> dict[str, _Judged]:
    """Return what is said of arms with as many columns. Arms with the same differences are one."""
    first: dict[bytes, str] = {}
    of = {
        arm: first.setdefault(np.r_[spread.delta, spread.identity, spread.columns].tobytes(), arm)
        for arm, spread in group.items()
    }
    alone = {arm: summarise(group[arm]) for arm in first.values()}
    # Without any spread, an arm is as it seems, and says nothing of the others.
    certain = {arm: mean for arm, mean in alone.items() if not mean.standard_error > 0}
    spread_out = {arm: group[arm] for arm in alone if arm not in certain}
    found = _alone(alone, level)
    if len(spread_out) >= FEWEST:
        found |= _borrowing(spread_out, alone, level) or {}
    return {arm: found[own] for arm, own in of.items()}


def pays(family: Family, errors: np.ndarray, halves: np.ndarray, level: float) -> np.ndarray:
    """Return whether borrowing makes the median interval narrower (...).

    errors: (..., A) the standard errors that borrowed intervals have; halves: (..., A) half the widths of Holm's intervals.
    """
    return family.exceeded(np.median(halves, axis=-1) / np.median(errors, axis=-1)) < level


def _alone(alone: Mapping[str, MeanDifference], level: float) -> dict[str, _Judged]:
    """Return what Holm's method says of arms with variances of their own."""
    from scipy.special import stdtrit

    p = np.array([p_value(mean) for mean in alone.values()])
    found = {}
    for (arm, mean), own, corrected, step in zip(alone.items(), p, *holm(p, level), strict=True):
        factor, strictest = stdtrit(mean.degrees_of_freedom, [1 - step / 2, 1 - level / len(alone) / 2])
        half = float(factor * mean.standard_error)
        found[arm] = _Judged(mean, float(corrected), half, float(strictest), float(own))
    return found


def _borrowing(
    group: Mapping[str, Spread], alone: Mapping[str, MeanDifference], level: float
) -> dict[str, _Judged] | None:
    """Return what simultaneous intervals with borrowed variances say of arms; None where they would be wider.

    An arm's standard error is the borrowed one or its own, whichever is larger, and it must be significant alone as well.
    Step down: in the order of the differences over their standard errors, those that are not significant alone last, each
    step has the factor of the arms from it on; arms from the first failure on share the factor of that step.
    """
    arms = list(group)
    own = MeanDifference(*np.array([alone[arm] for arm in arms]).T)
    single, (low, high) = p_value(own), interval(own, level)
    family = family_of(stacked([group[arm] for arm in arms]))
    errors = np.maximum(family.borrowed, own.standard_error)
    low_holm, high_holm = interval(own, level / len(arms))
    if not pays(family, errors, (high_holm - low_holm) / 2, level):
        return None
    t = np.abs(own.delta) / errors
    order = np.argsort(-np.where(single <= level, t, 0), kind="stable")
    p, factors = np.empty(len(arms)), np.empty(len(arms))
    corrected, strictest = 0.0, family.factor(level)
    factor = strictest
    for step, row in enumerate(order):
        rest = family.without(order[:step])
        if step and corrected <= level:
            factor = rest.factor(level)
        corrected = max(corrected, float(rest.exceeded(t[row])), float(single[row]))
        p[row], factors[row] = corrected, factor
    halves = np.maximum(factors * errors, (high - low) / 2)
    # Where both errors are the same number, rounding must not choose between their degrees of freedom.
    wider = errors > own.standard_error * (1 + ROUNDING)
    freedom = np.where(wider, family.freedom, own.degrees_of_freedom)
    return {
        arm: _Judged(
            MeanDifference(own.delta[row], errors[row], freedom[row]),
            float(p[row]),
            float(halves[row]),
            strictest,
            float(single[row]),
        )
        for row, arm in enumerate(arms)
    }


@cache
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Return quantiles from 0.5 to 1 and weights: Gauss-Legendre in three parts, since the tail decides."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    parts = [(0.5, 0.9), (0.9, 0.99), (0.99, 1.0)]
    return tuple(
        np.concatenate([of(start, end) for start, end in parts])
        for of in (
            lambda start, end: start + (end - start) * (nodes + 1) / 2,
            lambda start, end: (end - start) * weights,
        )
    )
