"""Pairs of images with similar perceptual hashes."""

import numpy as np

from reidflow.dedup.hamming import close_pairs
from reidflow.dedup.hashes import image_hashes
from reidflow.dedup.images import Images


def hash_pairs(images: Images, name: str, bits: int, loosest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs (P, 2) int64 of rows, i < j, whose hashes differ in at most `loosest` bits, and in how many."""
    hashes = image_hashes(images.pixels, images.rows, ((name, bits),))[name, bits]
    found = close_pairs(hashes, int(np.floor(loosest)))
    return found[:, :2], found[:, 2].astype(np.float64)
