"""Perceptual hash, confirmed by structural similarity of the photographs laid over each other."""

import numpy as np

from reidflow.dedup.images import Images
from reidflow.dedup.methods._hash import hash_pairs
from reidflow.dedup.overlaid import overlaid_ssim
from reidflow.dedup.ssim import pair_ssim


def pairs(
    images: Images, loosest: float, *, candidates: int = 14, side: int = 128, align: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return the candidate pairs (P, 2) int64 of rows, i < j, with 1 - SSIM <= `loosest`, and these distances (0 to 2).

    Candidates are the pairs whose 64-bit pHashes differ in at most `candidates` bits. SSIM is that of the grey images
    at `side` pixels, uniform window of 7. With `align`, the photographs are first laid over each other (scale and
    shift), so that a crop is known from another shot of a burst, and only what both show counts; without, the frames
    are compared as they are.
    """
    pair, _ = hash_pairs(images, "phash", 64, candidates)
    similarity = overlaid_ssim if align else pair_ssim
    apart = 1 - similarity(images.pixels, images.rows, pair, side)
    return pair[apart <= loosest], apart[apart <= loosest]
