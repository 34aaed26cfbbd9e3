"""Pairs of images with the same digest."""

import numpy as np


def equal_pairs(digests: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs (P, 2) int64 of rows with equal digests, i < j, and their distances, 0."""
    rows: dict[str, list[int]] = {}
    for row, digest in enumerate(digests):
        rows.setdefault(digest, []).append(row)
    pairs = [(i, j) for same in rows.values() for place, i in enumerate(same) for j in same[place + 1 :]]
    return np.asarray(sorted(pairs), np.int64).reshape(-1, 2), np.zeros(len(pairs))
