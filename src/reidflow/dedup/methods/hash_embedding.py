"""Perceptual hash, confirmed by the embedding."""

import numpy as np

from reidflow.dedup.hashes import hash_pairs
from reidflow.dedup.images import Images
from reidflow.dedup.neighbours import pair_distances


def pairs(images: Images, loosest: float, *, candidates: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Return the candidate pairs (P, 2) int64 of rows, i < j, with 1 - cosine <= `loosest`, and these distances.

    Candidates are the pairs whose 64-bit pHashes differ in at most `candidates` bits; the cosine is that of the
    features of the frozen backbone.
    """
    pair, _ = hash_pairs(images, "phash", 64, candidates)
    apart = pair_distances(images.vectors, pair[:, 0], pair[:, 1])
    return pair[apart <= loosest], apart[apart <= loosest]
