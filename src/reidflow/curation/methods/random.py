"""Images drawn at random: what any other choice of the same size must beat."""

import numpy as np

from reidflow.curation.pool import Pool

DRAWS = True


def select(pool: Pool, count: int) -> np.ndarray:
    """Return `count` rows (count,) int64, ascending, drawn uniformly without replacement.

    With the same seed a smaller draw is part of a larger one.
    """
    return np.sort(pool.random.permutation(len(pool.images))[:count])
