"""Exact copies: images whose framed pixels are equal, whatever the file."""

import numpy as np

from reidflow.dedup.images import Images, equal_pairs


def pairs(images: Images, loosest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs (P, 2) int64 of rows, i < j, whose framed pixels are equal; their distance is 0.

    `loosest` has no effect: pixels are equal or not.
    """
    return equal_pairs(images.pixel_digests)
