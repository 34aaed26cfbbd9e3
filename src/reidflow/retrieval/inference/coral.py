"""Correlation alignment: the queries take on the mean and the covariance of the gallery."""

import numpy as np
from threadpoolctl import threadpool_limits

from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.retrieval.inference._vectors import averageable, finite, moved
from reidflow.spec.errors import ReidflowError

TRANSDUCTIVE = True
FLAT = True
LAST = False


def apply(retrieval: Retrieval, *, shrinkage: float = 0.1) -> Retrieval:
    """Return the queries whitened by their own covariance and coloured by the gallery's, around the gallery's mean.

    Each covariance (D, D) is (1 - s) C + s tr(C) / D I with the share s = `shrinkage`, in (0, 1]: with fewer images than
    dimensions C alone has no inverse; 1 aligns the mean and the overall spread alone. (The paper adds I to C, for
    vectors of unit variance.) Statistics of the unit vectors on the hypersphere; vectors that are not finite do not
    count, and with fewer than two others on a side nothing changes.
    Source: Sun et al. 2016, arXiv:1511.05547.
    """
    if not 0 < shrinkage <= 1:
        raise ReidflowError(
            f"inference: coral's shrinkage must be above 0 and at most 1, not {shrinkage:g}. Write e.g. 0.1."
        )
    queries, gallery = averageable(retrieval, "coral")
    known = [finite(vectors) for vectors in (queries, gallery)]
    if min(len(vectors) for vectors in known) < 2:
        return retrieval
    # Sums over several threads have no fixed order.
    with threadpool_limits(1, "blas"):
        (own, middle), (other, target) = ((_covariance(v, shrinkage), v.mean(axis=0)) for v in known)
        return moved(retrieval, (queries - middle) @ _power(own, -0.5) @ _power(other, 0.5) + target)


def _covariance(vectors: np.ndarray, shrinkage: float) -> np.ndarray:
    around = vectors - vectors.mean(axis=0)
    covariance = around.T @ around / (len(vectors) - 1)
    floor = max(np.trace(covariance) / len(covariance), np.finfo(np.float64).tiny)
    return (1 - shrinkage) * covariance + shrinkage * floor * np.eye(len(covariance))


def _power(symmetric: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(symmetric)
    return vectors * np.maximum(values, np.finfo(np.float64).tiny) ** exponent @ vectors.T
