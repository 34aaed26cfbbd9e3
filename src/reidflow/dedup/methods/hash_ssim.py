"""Perceptual hash, confirmed by structural similarity."""

import numpy as np

from reidflow.dedup.images import Images
from reidflow.dedup.methods._hash import hash_pairs
from reidflow.dedup.ssim import pair_ssim


def pairs(images: Images, loosest: float, *, candidates: int = 16, side: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Return the candidate pairs (P, 2) int64 of rows, i < j, with 1 - SSIM <= `loosest`, and these distances (0 to 2).

    Candidates are the pairs whose 64-bit pHashes differ in at most `candidates` bits. SSIM is that of the grey images
    at `side` pixels, uniform window of 7.
    """
    pair, _ = hash_pairs(images, "phash", 64, candidates)
    apart = 1 - pair_ssim(images.pixels, images.rows, pair, side)
    return pair[apart <= loosest], apart[apart <= loosest]
