"""Comparisons after each of several looks at a growing number of seeds, with the error rate of a single one.

Alpha spending (Lan & DeMets 1983): each look tests at a share of the level of its own; the shares add up to the level, so
an error at any look has at most the level's probability (Bonferroni's inequality), however the looks depend on each other
and whatever decides which arms get more seeds. Neither scipy nor statsmodels has group-sequential tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from reidflow.evaluation.statistics import LARGEST, Comparison, compare

UNDECIDED = "inconclusive"
"""The verdict of an arm that has none yet."""
REJECTED = ("better", "worse")


def shares(looks: Sequence[int]) -> list[float]:
    """Return the share of the level that each look has. looks: how many seeds each has.

    Up to a look with a share t of the largest number of seeds, t squared is spent (Kim & DeMets 1987): early looks, with
    their few seeds, would waste more.
    """
    spent = [(seeds / looks[-1]) ** 2 for seeds in (0, *looks)]
    return [after - before for before, after in pairwise(spent)]


def compare_looks(
    differences: Mapping[str, np.ndarray],
    looks: Sequence[int],
    level: float = 0.05,
    largest: float = LARGEST,
    margin: float | None = None,
) -> dict[str, Comparison]:
    """Return the comparison of each arm with the baseline at the look that decided it, else at its last one.

    At each look, the arms that are not decided and have its seeds are compared (`statistics.compare`) at the look's share
    of the level. Of that each arm which is not known to be better or worse has an equal part, those without further seeds
    included (group-sequential Holm: Ye et al. 2013): whatever decides who gets more seeds, the thresholds hold for all
    arms that could err. A verdict stands. Intervals have the level of the arm's last look, and so has
    `smallest_detectable`; `p_adjusted` is the smallest level of all looks together at which that look would decide.

    Args:
        differences: for each arm (I, S): arm minus baseline of each identity and seed, in the order of the seeds; an arm
            that was not trained with all seeds has fewer columns, or NaN in its last ones.
        looks: how many seeds each look has, ascending.
        level: familywise error rate of all looks together.
        largest, margin: as in `statistics.compare`.
    """
    trained = {arm: _trained(values) for arm, values in differences.items()}
    found: dict[str, Comparison] = {}
    rejected: set[str] = set()
    for look, share in enumerate(shares(looks)):
        before = looks[look - 1] if look else -1
        undecided = [a for a in differences if trained[a] > before and (not look or found[a].verdict == UNDECIDED)]
        while undecided:
            left = len(differences) - len(rejected)
            own = level * share * len(undecided) / left
            known = {arm: differences[arm][:, : min(looks[look], trained[arm])] for arm in undecided}
            now = compare(known, own, largest, margin)
            found |= {arm: replace(one, p_adjusted=min(one.p_adjusted * level / own, 1.0)) for arm, one in now.items()}
            new = [arm for arm in undecided if now[arm].verdict in REJECTED]
            if len(undecided) == left or not new:
                rejected.update(new)
                break
            # The comparison steps down as if these arms were all: beside others, its first step alone is right.
            first = min(new, key=lambda arm: now[arm].p_adjusted)
            rejected.add(first)
            undecided.remove(first)
    return {arm: found[arm] for arm in differences}


LEAST = 0.1
"""Chance of a verdict at the last look from which on an undecided arm gets more seeds."""


def chances(
    differences: Mapping[str, np.ndarray],
    looks: Sequence[int],
    seeds: int,
    level: float = 0.05,
    margin: float | None = None,
) -> dict[str, float]:
    """Return `chance_of_verdict` of each arm that is undecided after the look with so many seeds, and was not left before.

    The other arguments are as in `compare_looks`; every arm has two identities and seeds, and no NaN.
    """
    found = compare_looks(differences, looks, level, margin=margin)
    names = [arm for arm, one in found.items() if one.verdict == UNDECIDED and differences[arm].shape[1] == seeds]
    return {arm: chance_of_verdict(differences[arm], looks, len(names), level, margin) for arm in names}


def chance_of_verdict(
    values: np.ndarray, looks: Sequence[int], arms: int, level: float = 0.05, margin: float | None = None
) -> float:
    """Return the chance that an undecided arm has a verdict at the last look, were its difference what it now seems.

    Its conditional power under the current trend (Lan & Wittes 1988), by a normal approximation: the variance of the mean
    over S seeds is that of identities plus that of a seed over S, as they are estimated now, which also says how far the
    mean may still move. On the favourable side: the last interval has Holm's level for `arms` comparisons and a normal
    quantile. Whatever is decided by it, no verdict is wrong more often: see the module.

    Args:
        values: (I, S) differences of the seeds so far, at least two by two, without NaN.
        looks: as in `compare_looks`.
        arms: how many arms are undecided, this one included.
        level: familywise error rate of all looks together.
        margin: of equivalence, as in `statistics.compare`.
    """
    from scipy.special import ndtr, ndtri

    identities, seeds = values.shape
    by_identity, by_seed = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    residual = np.square(values - by_identity - by_seed + values.mean()).sum() / ((identities - 1) * (seeds - 1))
    of_identity = max(by_identity.var(ddof=1) - residual / seeds, 0.0) / identities
    of_seed = max(by_seed.var(ddof=1), residual / identities)
    half_width = -ndtri(level * shares(looks)[-1] / arms / 2) * np.sqrt(of_identity + of_seed / looks[-1])
    moves = np.sqrt(of_seed * max(1 / seeds - 1 / looks[-1], 0.0))
    ends = np.array([values.mean(), -values.mean()])
    within = min((margin or 0.0) - half_width, half_width)
    if moves == 0:
        return float((ends > half_width).any() or (np.abs(ends) < within).all())
    alike = ndtr((within - ends) / moves).sum() - 1 if within > 0 else 0.0
    return float(ndtr((ends - half_width) / moves).sum() + alike)


def _trained(values: np.ndarray) -> int:
    """Return how many seeds of (I, S) an arm was trained with: up to the last column that has a value."""
    scored = np.flatnonzero(~np.isnan(values).all(axis=0))
    return int(scored[-1]) + 1 if len(scored) else 0
