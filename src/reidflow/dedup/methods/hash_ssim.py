"""Perceptual hash, confirmed by structural similarity of the aligned images."""

import numpy as np

from reidflow.dedup.hashes import hash_pairs
from reidflow.dedup.images import Images
from reidflow.dedup.ssim import aligned_ssim, pair_ssim


def pairs(
    images: Images, loosest: float, *, candidates: int = 14, side: int = 128, align: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return the candidate pairs (P, 2) int64 of rows, i < j, with 1 - SSIM <= `loosest`, and these distances (0 to 2).

    Candidates are the pairs whose 64-bit pHashes differ in at most `candidates` bits. SSIM is that of the grey images
    at `side` pixels, uniform window of 7. With `align`, images are first aligned (scale and shift), which separates a
    crop from another frame of a burst, and only what both show counts; without, frames are compared in place.
    Libraries: imagehash, scikit-image.
    """
    pair, _ = hash_pairs(images, "phash", 64, candidates)
    similarity = aligned_ssim if align else pair_ssim
    apart = 1 - similarity(images.pixels, images.rows, pair, side, images.workers)
    return pair[apart <= loosest], apart[apart <= loosest]
