"""How wide an interval would be with other numbers of identities and seeds."""

import math

from reidflow.evaluation.statistics import Comparison


def projected(found: Comparison, size: tuple[int, int], other: tuple[int, int]) -> float | None:
    """Return half the width of the interval that a comparison would have with other numbers of identities and seeds.

    The identities' part of the variance of the mean is divided among as many more identities, the part of the seeds with
    the residual among as many more seeds. The interval keeps its level; its degrees of freedom follow from those of the
    parts (Satterthwaite 1946), those of the seeds in proportion to their number, and never fall with larger numbers. None
    where the spread is unknown or there is none.

    Args:
        found: the comparison as it is.
        size: its numbers of identities and seeds, two of each at least.
        other: the numbers of identities and seeds to project to.
    """
    from scipy.special import stdtr, stdtrit

    total, freedom = found.of_identities + found.of_seeds, found.degrees_of_freedom
    if not total > 0 or not freedom > 0:
        return None
    by_identities, by_seeds = found.of_identities * size[0] / other[0], found.of_seeds * size[1] / other[1]
    rest = total**2 / freedom - found.of_identities**2 / (size[0] - 1)
    inverse = max(rest, 0.0) / found.of_seeds**2 * (size[1] - 1) / (other[1] - 1) if found.of_seeds > 0 else 0.0
    new = by_identities + by_seeds
    spread = by_identities**2 / (other[0] - 1) + by_seeds**2 * inverse
    grown = other[0] >= size[0] and other[1] >= size[1]
    then = max(new**2 / spread, freedom) if grown else new**2 / spread
    tail = stdtr(freedom, -(found.high - found.low) / 2 / math.sqrt(total))
    return float(-stdtrit(then, tail)) * math.sqrt(new)
