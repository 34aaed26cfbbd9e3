"""Structural similarity of images whose thumbnails are alike."""

import numpy as np

from reidflow.dedup.images import Images, grey
from reidflow.dedup.neighbours import nearest, unit
from reidflow.dedup.ssim import pair_ssim

THUMBNAIL = 16


def pairs(images: Images, loosest: float, *, neighbours: int = 10, side: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Return the candidate pairs (P, 2) int64 of rows, i < j, with 1 - SSIM <= `loosest`, and these distances (0 to 2).

    Candidates are each image's `neighbours` nearest by the correlation of grey thumbnails of 16 x 16 pixels. SSIM is
    that of the grey images at `side` pixels, uniform window of 7.
    Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861. Library: scikit-image.
    """
    flat = np.stack([grey(images.pixels[row], THUMBNAIL).ravel() for row in images.rows]).astype(np.float32)
    found, _ = nearest(unit(flat - flat.mean(axis=1, keepdims=True)), neighbours)
    first = np.repeat(np.arange(len(found)), found.shape[1])
    either = np.sort(np.stack([first, found.ravel()], axis=1), axis=1)
    pair = np.unique(either, axis=0).astype(np.int64)
    apart = 1 - pair_ssim(images.pixels, images.rows, pair, side, images.workers)
    return pair[apart <= loosest], apart[apart <= loosest]
