"""Comparisons after each of several looks at a growing number of seeds, with the error rate of a single one.

Alpha spending (Lan & DeMets 1983): look k of an experiment tests at its own share of the level; the shares add up to the
level, so the chance of an error at any look is at most the level (Bonferroni's inequality), however the looks depend on
each other and whatever decides who gets more seeds. statsmodels and scipy have no group-sequential tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reidflow.evaluation.statistics import LARGEST, Comparison, compare

INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class LastLook:
    """An arm at the look that decided it, or else at the last look that it has the seeds for.

    Attributes:
        comparison: at that look: intervals have its level; `p_holm` is the smallest level of all looks together at which
            this look would decide (its own, divided by the look's share), at most 1.
        look: number of the look, from 0.
        seeds: number of seeds that it rests on.
    """

    comparison: Comparison
    look: int
    seeds: int

    @property
    def decided(self) -> bool:
        """Whether the arm has a verdict."""
        return self.comparison.verdict != INCONCLUSIVE


def shares(looks: Sequence[int]) -> list[float]:
    """Return the share of the level that each look spends: as many seeds as it adds, over all. looks: seeds of each."""
    return [(seeds - before) / looks[-1] for before, seeds in zip([0, *looks], looks, strict=False)]


def compare_looks(
    differences: Mapping[str, np.ndarray], looks: Sequence[int], level: float = 0.05, largest: float = LARGEST
) -> dict[str, LastLook]:
    """Return the comparison of each arm with the baseline at the look that decided it, or at its last one.

    At each look, all arms are compared on the seeds that they have of the look's (`statistics.compare`, corrected over
    all arms); those decided before keep their verdict, though they still count as comparisons.

    Args:
        differences: for each arm (I, S): arm minus baseline of each identity and seed, in the order of the seeds; an arm
            that was not trained with all seeds has fewer columns, or NaN in the last ones.
        looks: how many seeds each look has, ascending.
        level: familywise error rate of all looks together.
        largest: as in `statistics.compare`.
    """
    trained = {arm: _seeds(values) for arm, values in differences.items()}
    found: dict[str, LastLook] = {}
    for look, (seeds, share) in enumerate(zip(looks, shares(looks), strict=True)):
        remaining = [
            arm for arm in differences if look == 0 or (not found[arm].decided and trained[arm] > looks[look - 1])
        ]
        if not remaining:
            break
        now = compare(
            {arm: values[:, : min(seeds, trained[arm])] for arm, values in differences.items()}, share * level, largest
        )
        for arm in remaining:
            found[arm] = LastLook(
                replace(now[arm], p_holm=min(now[arm].p_holm / share, 1.0)), look, min(seeds, trained[arm])
            )
    return {arm: found[arm] for arm in differences}


def undecided(found: Mapping[str, LastLook]) -> list[str]:
    """Return the arms without a verdict."""
    return [arm for arm, last in found.items() if not last.decided]


def _seeds(values: np.ndarray) -> int:
    """Return how many seeds of (I, S) an arm was trained with: up to the last column that has a value."""
    scored = np.flatnonzero(~np.isnan(values).all(axis=0))
    return int(scored[-1]) + 1 if len(scored) else 0
