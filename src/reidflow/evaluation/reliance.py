"""How much of what a network finds it finds by the background: reliance, its interval, and its difference."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reidflow.evaluation.statistics import Comparison, compare, interval, mean_difference


@dataclass(frozen=True)
class Reliance:
    """The reliance of an arm; None where it is not defined, and then `note` says why.

    Attributes:
        value: (background - chance) / (foreground - chance), means over identities and seeds. 0: the background alone
            says nothing; 1: it says as much as the animal alone.
        low: lower end of its interval.
        high: upper end.
        influence: (I, S) of mean zero: how much each identity and seed moves the value.
        note: why it is not defined.
    """

    value: float | None
    low: float | None
    high: float | None
    influence: np.ndarray | None
    note: str = ""


def reliance(background: np.ndarray, foreground: np.ndarray, chance: np.ndarray, level: float = 0.05) -> Reliance:
    """Return the reliance of an arm with its 1 - `level` interval.

    The interval is that of a mean of the linearised ratio u = ((b - c) - r (f - c)) / mean(f - c), over identities and
    seeds crossed, as in `statistics.mean_difference` (linearisation of a ratio: Cochran, Sampling Techniques, 1977,
    section 6.4). Not defined where the interval of foreground minus chance is not above zero: a ratio over
    something that may be nothing says nothing.

    Args:
        background: (I, S) mean average precision of each identity and seed with the background only.
        foreground: (I, S) the same with the foreground only.
        chance: (I,) average precision of a random ranking.
        level: error rate of the interval.
    """
    numerator, denominator = (np.asarray(values, np.float64) - chance[:, None] for values in (background, foreground))
    if min(denominator.shape) < 2:
        return _undefined("one seed or one identity alone: whether the foreground is above chance is unknown")
    foreground_low, _ = interval(mean_difference(denominator), level)
    if not foreground_low > 0:
        return _undefined("the foreground alone is not above chance")
    scale = denominator.mean()
    value = float(numerator.mean() / scale)
    influence = (numerator - value * denominator) / scale
    low, high = interval(mean_difference(influence), level)
    return Reliance(value, value + float(low), value + float(high), influence)


def compare_reliance(arms: Mapping[str, Reliance], baseline: Reliance, level: float = 0.05) -> dict[str, Comparison]:
    """Return the difference in reliance of each arm to the baseline, corrected over the arms.

    `better` is a higher reliance, `worse` a lower one. The differences are those of the linearised ratios, paired by
    identity and seed, so that verdict and interval agree. Arms whose reliance is not defined are left out, and so are
    all where the baseline's is not. The arms have the same identities and as many seeds.
    """
    if baseline.value is None:
        return {}
    differences = {
        name: arm.influence - baseline.influence + (arm.value - baseline.value)
        for name, arm in arms.items()
        if arm.value is not None
    }
    return compare(differences, level, largest=math.inf)


def together(arms: Mapping[str, Reliance]) -> Reliance:
    """Return the mean reliance of several arms as that of one, without an interval of its own.

    Only arms with a defined reliance count; not defined where there is none.
    """
    known = [arm for arm in arms.values() if arm.value is not None]
    if not known:
        return _undefined("no arm has a reliance")
    value = sum(arm.value for arm in known) / len(known)
    return Reliance(value, None, None, sum(arm.influence for arm in known) / len(known))


def _undefined(note: str) -> Reliance:
    return Reliance(None, None, None, None, note)
