"""How well clusters of the embedding agree with identities.

scikit-learn would do it, but takes over a second to import, in every job that evaluates an arm.
"""

import warnings

import numpy as np
from scipy.cluster.vq import kmeans2
from threadpoolctl import threadpool_limits

from reidflow.evaluation.ranking import unit

RESTARTS = 4
ROUNDS = 100


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
    random = np.random.default_rng(seed % 2**32)
    count = min(len(np.unique(identity)), len(np.unique(vectors, axis=0)))
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a cluster that lost its last member
        found = [kmeans2(vectors, count, ROUNDS, minit="++", rng=random) for _ in range(RESTARTS)]
    spread = [((vectors - centres[labels]) ** 2).sum() for centres, labels in found]
    return normalised_mutual_information(identity, found[int(np.argmin(spread))][1])


def normalised_mutual_information(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mutual information of two labellings (N,) over the mean of their entropies; 1 if both are constant."""
    joint = np.histogram2d(_codes(one), _codes(other), bins=(len(np.unique(one)), len(np.unique(other))))[0] / len(one)
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    entropies = _entropy(rows) + _entropy(columns)
    shared = entropies - _entropy(joint.ravel())
    return float(np.clip(2 * shared / entropies, 0, 1)) if entropies > 0 else 1.0


def _codes(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1]


def _entropy(shares: np.ndarray) -> float:
    kept = shares[shares > 0]
    return float(-(kept * np.log(kept)).sum())
