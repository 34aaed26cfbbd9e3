"""Edited copies: crops, mirror images, rotations by right angles, other tones, compression, small overlays."""

import numpy as np

from reidflow.dedup.edited import copies
from reidflow.dedup.images import Images


def pairs(images: Images, loosest: float, *, candidates: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs (P, 2) int64 of rows, i < j, at most `loosest` apart, and their distances (0 to 2).

    The distance is 1 - the similarity of the aligned images, which all windows but the least similar quarter reach. A
    distance of 0.3 separates edited copies from other photographs of one background. Each image proposes the
    `candidates` others that resemble a part of it most, mirrored or turned; an image without structure, none.
    Libraries: Pillow, SciPy.
    """
    return copies(images.pixels, images.rows, loosest, candidates, images.workers)
