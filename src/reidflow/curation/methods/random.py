"""A uniform random sample: the baseline of every other method at the same size."""

import numpy as np

from reidflow.curation.pool import Pool

RANDOM = True


def select(pool: Pool, count: int) -> np.ndarray:
    """Return `count` rows (count,) int64, ascending, sampled uniformly without replacement.

    With the same seed a smaller sample is part of a larger one.
    """
    return np.sort(pool.random.permutation(len(pool.images))[:count])
