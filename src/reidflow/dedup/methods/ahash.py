"""Average hash: where the small grey image exceeds its mean."""

from typing import Literal

import numpy as np

from reidflow.dedup.hashes import hash_pairs
from reidflow.dedup.images import Images


def pairs(images: Images, loosest: float, *, bits: Literal[64, 256] = 64) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs (P, 2) int64 of rows, i < j, at most `loosest` apart, and their distances.

    The distance is the number of bits, out of `bits`, in which the hashes differ.
    Robust to colour and contrast, not to crops.
    Library: imagehash.average_hash.
    """
    return hash_pairs(images, "ahash", bits, loosest)
