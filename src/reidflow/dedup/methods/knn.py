"""Mutual nearest neighbours: images that are among each other's nearest by their embedding."""

import numpy as np

from reidflow.dedup.images import Images
from reidflow.dedup.neighbours import nearest, pair_distances


def pairs(images: Images, loosest: float, *, neighbours: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs (P, 2) int64 of rows, i < j, that are mutual neighbours, and 1 - cosine (at most `loosest`).

    Two images are mutual neighbours if each is among the other's `neighbours` nearest. So an image in a dense region
    has few duplicates, where a plain threshold finds many. Library: FAISS.
    """
    found, _ = nearest(images.vectors, neighbours)
    first = np.repeat(np.arange(len(found)), found.shape[1])
    count = len(found)
    forth, back = first * count + found.ravel(), found.ravel() * count + first
    mutual = np.intersect1d(forth[first < found.ravel()], back)
    pair = np.stack(np.divmod(mutual, max(1, count)), axis=1).astype(np.int64)
    apart = pair_distances(images.vectors, pair[:, 0], pair[:, 1])
    return pair[apart <= loosest], apart[apart <= loosest]
