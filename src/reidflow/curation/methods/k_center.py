"""Images from which no other is far: k-centre in the embedding."""

import numpy as np

from reidflow.curation.centres import farthest_first
from reidflow.curation.pool import Pool


def select(pool: Pool, count: int) -> np.ndarray:
    """Return `count` rows (count,) int64, ascending: the most central image, then always the one farthest from those.

    Source: Gonzalez 1985; as a core set for training: Sener & Savarese 2018.
    """
    return np.sort(farthest_first(pool.features, count))
