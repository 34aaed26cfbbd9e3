"""Embeddings: images whose features of a frozen backbone point the same way."""

import numpy as np

from reidflow.dedup.images import Images
from reidflow.dedup.neighbours import near_pairs


def pairs(images: Images, loosest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs (P, 2) int64 of rows, i < j, with 1 - cosine <= `loosest`, and these distances (0 to 2)."""
    return near_pairs(images.vectors, loosest, images.first)
