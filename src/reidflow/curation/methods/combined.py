"""Facility location among good images with credible labels, at most so many per identity."""

import numpy as np

from reidflow.curation.greedy import Cap, facility_location
from reidflow.curation.pool import Pool

CHANCE = 0.5
"""The label doubt of an image whose neighbours agree with its label as often as by chance."""


def select(pool: Pool, count: int, *, quality: float = 0.1, doubt: float = 0.05, cap: float = 1.5) -> np.ndarray:
    """Return `count` rows (count,) int64, ascending, by facility location among the images that remain.

    quality: share of the images to drop for the lowest quality. doubt: share to drop for the most doubtful labels, only
    among those whose neighbours agree less than by chance. Neither drops more than leaves `count` images: doubtful
    labels go first. cap: most images of an identity, as a multiple of the even share, `count` over the number of
    remaining identities; raised as far as needed to reach `count`.
    """
    dropped = _doubtful(pool, doubt) + _worst(pool, quality)
    dropped = list(dict.fromkeys(dropped))[: len(pool.images) - count]
    rows = np.setdiff1d(np.arange(len(pool.images)), dropped)
    identity = np.unique(pool.codes()[rows], return_inverse=True)[1]
    limit = _limit(np.bincount(identity), count, cap)
    return np.sort(rows[facility_location(pool.features[rows], count, Cap(identity, limit))])


def _doubtful(pool: Pool, share: float) -> list[int]:
    """Return the rows of the most doubtful labels, the worst first."""
    doubt = pool.scores["label_doubt"].fill_null(0.0).to_numpy()
    order = np.argsort(-doubt, kind="stable")[: int(share * len(doubt))]
    return [int(row) for row in order if doubt[row] > CHANCE]


def _worst(pool: Pool, share: float) -> list[int]:
    """Return the rows of the lowest quality, the worst first."""
    order = np.argsort(pool.scores["quality"].to_numpy(), kind="stable")
    return order[: int(share * len(order))].tolist()


def _limit(sizes: np.ndarray, count: int, cap: float) -> int:
    """Return the most images that an identity may have; `sizes`: (I,) images of each."""
    limit = max(1, int(cap * count / len(sizes)))
    while np.minimum(sizes, limit).sum() < count:
        limit += 1
    return limit
