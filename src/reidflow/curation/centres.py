"""k-centre: the images from which no image is far, chosen greedily."""

import numpy as np

from reidflow.curation.similarity import GRAIN, exact, steps

BLOCK = 256
"""So many images whose distance is out of date are brought up to date at once."""


def farthest_first(features: np.ndarray, count: int) -> np.ndarray:
    """Return `count` rows of (R, D) `features`, int64, in the greedy order of k-centre by angle.

    The first is the most central image, whose mean cosine to all is the greatest; then always the image that is least
    similar to its nearest chosen one. Ties go to the image that stands first. The greatest distance is at most twice
    the best possible (Gonzalez 1985; for active learning: Sener & Savarese 2018).

    Exact. A similarity to only some of the chosen images is a lower bound, so only the least similar are looked at anew.
    """
    vectors = exact(features)
    chosen = np.empty(min(count, len(vectors)), np.int64)
    nearest = np.full(len(vectors), np.iinfo(np.int32).min)
    seen = np.zeros(len(vectors), np.int64)
    for place in range(len(chosen)):
        chosen[place] = _farthest(vectors, chosen[:place], nearest, seen) if place else _central(vectors)
        nearest[chosen[place]] = np.iinfo(np.int32).max
    return chosen


def _central(vectors: np.ndarray) -> int:
    mean = np.rint(vectors.mean(axis=0) * GRAIN) / GRAIN
    return int(np.argmax(steps(vectors @ mean)))


def _farthest(vectors: np.ndarray, chosen: np.ndarray, nearest: np.ndarray, seen: np.ndarray) -> int:
    """Return the image least similar to the `chosen` ones.

    `nearest`: (R,) similarity in steps to the nearest of the first `seen` (R,) chosen; both are updated in place.
    """
    while True:
        row = int(np.argmin(nearest))
        if seen[row] == len(chosen):
            return row
        size = min(BLOCK, len(nearest) - 1)
        rows = np.sort(np.argpartition(nearest, size)[: size + 1])
        rows = rows[(seen[rows] >= seen[row]) & (seen[rows] < len(chosen))]
        found = steps((vectors[rows] @ vectors[chosen[seen[row] :]].T).max(axis=1))
        nearest[rows] = np.where(
            nearest[rows] == np.iinfo(np.int32).max, nearest[rows], np.maximum(nearest[rows], found)
        )
        seen[rows] = len(chosen)
