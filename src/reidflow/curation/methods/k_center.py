"""k-centre in the embedding: images from which no other is far."""

import numpy as np

from reidflow.curation import greedy
from reidflow.curation.pool import Pool


def select(pool: Pool, count: int) -> np.ndarray:
    """Return `count` rows (count,) int64, ascending: the most central image, then always the one farthest from those.

    Source: Gonzalez 1985; as a core set for training: Sener & Savarese 2018.
    """
    return np.sort(greedy.k_center(pool.features, count))
