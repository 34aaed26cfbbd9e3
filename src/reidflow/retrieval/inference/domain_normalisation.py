"""Each side in coordinates of its own: what separates two domains as a whole is taken away."""

import numpy as np

from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.retrieval.inference._vectors import averageable, finite, moved

TRANSDUCTIVE = True
FLAT = True
LAST = False


def apply(retrieval: Retrieval, *, centre: bool = True, scale: bool = True) -> Retrieval:
    """Return both sides with their own mean taken away (`centre`) and their own spread in every dimension divided out (`scale`).

    The statistics are those of the unit vectors on the hypersphere, of the vectors in flat space; the spread is the
    standard deviation, 1 where it is 0. Vectors that are not finite do not count. With fewer than two others on a side
    nothing changes. It takes sides for domains: on two samples of one domain it only adds noise.
    Source: per-domain standardisation, as in domain-specific batch normalisation (Chang et al. 2019, arXiv:1906.03950).
    """
    sides = averageable(retrieval, "domain_normalisation")
    if min(len(finite(vectors)) for vectors in sides) < 2:
        return retrieval
    return moved(retrieval, *(_normalised(vectors, centre, scale) for vectors in sides))


def _normalised(vectors: np.ndarray, centre: bool, scale: bool) -> np.ndarray:
    known = finite(vectors)
    middle, spread = known.mean(axis=0), known.std(axis=0)
    # A constant dimension's spread is rounding, not nought.
    spread[spread <= 1e-9 * np.abs(known).max(axis=0)] = 1.0
    around = vectors - middle
    return (around / spread if scale else around) + (0.0 if centre else middle)
