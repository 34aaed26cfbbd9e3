"""Facility location in the embedding: images that represent all others."""

import numpy as np

from reidflow.curation import greedy
from reidflow.curation.pool import Pool


def select(pool: Pool, count: int) -> np.ndarray:
    """Return `count` rows (count,) int64, ascending, that greedily maximise the mean similarity, max(0, cosine), of all
    images to the nearest chosen one.

    Source: Nemhauser, Wolsey & Fisher 1978; lazily: Minoux 1978; as a choice of training data: Wei, Iyer & Bilmes 2015.
    """
    return np.sort(greedy.facility_location(pool.features, count))
