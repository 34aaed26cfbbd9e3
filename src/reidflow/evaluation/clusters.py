"""How well clusters of the embedding agree with identities."""

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import normalized_mutual_info_score
from threadpoolctl import threadpool_limits

from reidflow.evaluation.ranking import unit

RESTARTS = 4


def cluster_agreement(vectors: np.ndarray, identity: np.ndarray, seed: int, normalise: bool = True) -> float:
    """Return the normalised mutual information (arithmetic) between k-means clusters and identities, in [0, 1].

    As many clusters as identities; the best of 4 starts by k-means++ seeded with `seed`; on one thread, since sums over
    several have no fixed order. NaN if a vector is not finite.

    Args:
        vectors: (N, D); scaled to unit length first if `normalise`.
        identity: (N,) integer codes.
        seed: any integer.
        normalise: False for geometries other than the sphere.
    """
    vectors = unit(vectors) if normalise else np.asarray(vectors, dtype=np.float64)
    if not np.isfinite(vectors).all():
        return float("nan")
    clusters = len(np.unique(identity))
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct vectors than clusters: duplicates
        means = KMeans(clusters, n_init=RESTARTS, random_state=seed % 2**32).fit(vectors)
    return float(normalized_mutual_info_score(identity, means.labels_))
