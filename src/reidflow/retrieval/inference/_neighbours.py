"""The most similar images, in an order that neither threads nor the last bits of a sum decide."""

import numpy as np
from threadpoolctl import threadpool_limits

from reidflow.evaluation.ranking import STEPS
from reidflow.evaluation.retrieval_queries import Retrieval, ranked_blocks
from reidflow.spec.errors import ReidflowError

CHUNK = 2**22
"""Numbers gathered at a time when vectors are averaged."""


def nearest(retrieval: Retrieval, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `count` candidates nearest to each query: rows of the gallery (Q, k) and their similarities (Q, k).

    Nearest first; ties by row. The query itself and its group are no candidates, nor is an image whose similarity is not
    a number. Where there are fewer candidates, -1 and 0 fill the row; k is at most the size of the gallery.
    """
    if count < 1:
        raise ReidflowError(f"inference: k is the number of neighbours, at least 1, not {count}. Write e.g. 5.")
    count = min(count, len(retrieval.gallery))
    rows, values = np.full((len(retrieval.queries), count), -1), np.zeros((len(retrieval.queries), count))
    masks = retrieval.masks()
    # Sums over several threads have no fixed order.
    with threadpool_limits(1, "blas"):
        for block, steps in ranked_blocks(retrieval):
            excluded = masks.excluded(block)
            if excluded is not None:
                steps[excluded] = -np.inf
            rows[block], values[block] = largest(steps, count)
    return rows, values


def largest(steps: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns (q, k) of the largest of (q, G) float32 steps, largest first, ties by column, and their values.

    -1 and 0 where what is left is minus infinity.
    """
    bits = (np.float32(0.0) - steps).view(np.int32)
    keys = (bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))).astype(np.int64) << 32
    keys |= np.arange(steps.shape[1])
    if count < steps.shape[1]:
        keys = np.partition(keys, count, axis=1)[:, :count]
    columns = np.sort(keys, axis=1) & 0xFFFFFFFF
    values = np.take_along_axis(steps, columns, 1)
    missing = np.isneginf(values)
    return np.where(missing, -1, columns), np.where(missing, 0.0, values) / STEPS


def add_neighbours(own: np.ndarray, vectors: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted means (Q, D) of each row of `own`, with weight 1, and of its neighbours among `vectors`.

    rows, weights: (Q, k); -1 is no neighbour.
    """
    weights = np.where(rows < 0, 0.0, weights)
    means = np.empty_like(own)
    size = max(1, CHUNK // max(1, rows.shape[1] * own.shape[1]))
    for start in range(0, len(own), size):
        some = slice(start, start + size)
        helpers = np.where(rows[some, :, None] < 0, 0.0, vectors[rows[some]])
        helped = own[some] + np.einsum("qk,qkd->qd", weights[some], helpers)
        means[some] = helped / (1 + weights[some].sum(axis=1, keepdims=True))
    return means


def cosines(own: np.ndarray, vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the cosines (Q, k) of each row of `own` and its neighbours among `vectors`; 0 for -1 and zero vectors."""
    found = np.zeros(rows.shape)
    for place in range(rows.shape[1]):
        other = vectors[rows[:, place]]
        sizes = np.sqrt(np.square(own).sum(axis=1) * np.square(other).sum(axis=1))
        found[:, place] = np.einsum("qd,qd->q", own, other) / np.where(sizes > 0, sizes, 1)
    return np.where(rows < 0, 0.0, np.rint(found * STEPS) / STEPS)
