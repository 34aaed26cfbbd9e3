"""Cosines whose bits depend on no block size, number of threads or linear algebra library."""

import numpy as np

GRAIN = np.float64(2**24)
STEPS = np.float64(2**23)
BLOCK_ELEMENTS = 2**22


def exact(features: np.ndarray) -> np.ndarray:
    """Return (R, D) features as float64 unit vectors whose entries are multiples of 2^-24; a zero vector stays zero.

    Products of such entries are multiples of 2^-48 and every partial sum of an inner product stays below 2, so float64
    holds all of them without rounding: the order in which a library adds cannot matter.
    """
    vectors = np.array(features, dtype=np.float64, order="C", ndmin=2)
    norms = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    vectors /= np.where(norms == 0, 1.0, norms)
    vectors *= GRAIN
    np.rint(vectors, out=vectors)
    vectors /= GRAIN
    return vectors


def steps(similarities: np.ndarray) -> np.ndarray:
    """Return similarities in whole steps of 2^-23, int32: sums of them are exact, and equal ones are ties."""
    return np.rint(similarities * STEPS).astype(np.int32)


def block_rows(count: int) -> int:
    """Return how many rows of a (rows, count) block of float64 keep it near 32 MB."""
    return max(1, BLOCK_ELEMENTS // max(1, count))
