"""Images that stand for all others: facility location in the embedding."""

import numpy as np

from reidflow.curation.facility import greedy
from reidflow.curation.pool import Pool


def select(pool: Pool, count: int) -> np.ndarray:
    """Return `count` rows (count,) int64, ascending, that greedily maximise the mean similarity, max(0, cosine), of all
    images to the nearest chosen one.

    Source: Nemhauser, Wolsey & Fisher 1978; lazily: Minoux 1978; as a choice of training data: Wei, Iyer & Bilmes 2015.
    """
    return np.sort(greedy(pool.features, count))
