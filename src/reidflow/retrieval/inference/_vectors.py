"""Vectors that may be averaged, and where they go back."""

from dataclasses import replace

import numpy as np

from reidflow.evaluation.ranking import unit
from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.models.geometries import euclidean
from reidflow.spec.errors import ReidflowError


def averageable(retrieval: Retrieval, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return queries (Q, D) and gallery (G, D) in float64: directions on the hypersphere, points in flat space.

    A vector that is not finite becomes NaN on the hypersphere. Raises ReidflowError in a curved geometry, where a mean
    of coordinates is no mean, and where a matrix has taken the vectors' place.
    """
    if retrieval.matrix is not None:
        raise ReidflowError(
            f"inference: '{method}' changes embeddings, but the step before it has replaced them by similarities. "
            f"Put '{method}' before it."
        )
    if retrieval.similarity is None:
        return unit(retrieval.queries), unit(retrieval.gallery)
    if retrieval.similarity is not euclidean.similarity:
        raise ReidflowError(
            f"inference: '{method}' averages embeddings, which this geometry does not allow. Use 'k_reciprocal', which "
            "needs distances alone, or train on the hypersphere or in euclidean space."
        )
    return np.array(retrieval.queries, np.float64, ndmin=2), np.array(retrieval.gallery, np.float64, ndmin=2)


def moved(retrieval: Retrieval, queries: np.ndarray | None = None, gallery: np.ndarray | None = None) -> Retrieval:
    """Return `retrieval` with other vectors, as float32; on the hypersphere as unit vectors."""
    changes = {"queries": queries, "gallery": gallery}
    return replace(
        retrieval, **{side: stored(retrieval, vectors) for side, vectors in changes.items() if vectors is not None}
    )


def stored(retrieval: Retrieval, vectors: np.ndarray) -> np.ndarray:
    """Return (N, D) vectors as embeddings are stored."""
    return (unit(vectors) if retrieval.similarity is None else vectors).astype(np.float32)


def finite(vectors: np.ndarray) -> np.ndarray:
    """Return the rows whose entries are all finite."""
    return vectors[np.isfinite(vectors).all(axis=1)]
