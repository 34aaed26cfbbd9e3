"""Good pictures with credible labels that stand for all such, without any identity taking over."""

import numpy as np

from reidflow.curation.facility import Cap, greedy
from reidflow.curation.pool import Pool

CHANCE = 0.5
"""The label doubt of an image whose neighbours agree with its label as often as by chance."""


def select(pool: Pool, count: int, *, quality: float = 0.1, doubt: float = 0.05, cap: float = 1.5) -> np.ndarray:
    """Return `count` rows (count,) int64, ascending, by facility location among the images that remain.

    quality: share of the images to drop as the worst pictures. doubt: share to drop as the most doubtful labels, of
    those alone whose neighbours agree less than by chance. Neither drops more than leaves `count` images: doubtful
    labels go first. cap: most images of an identity, as a multiple of the even share, `count` over the number of
    remaining identities; raised as far as needed to reach `count`.
    """
    dropped = _doubtful(pool, doubt) + _worst(pool, quality)
    dropped = list(dict.fromkeys(dropped))[: len(pool.images) - count]
    rows = np.setdiff1d(np.arange(len(pool.images)), dropped)
    identity = np.unique(pool.codes()[rows], return_inverse=True)[1]
    limit = _limit(np.bincount(identity), count, cap)
    return np.sort(rows[greedy(pool.features[rows], count, Cap(identity, limit))])


def _doubtful(pool: Pool, share: float) -> list[int]:
    """Return the rows of the most doubtful labels, the worst first."""
    doubt = pool.scores["label_doubt"].fill_null(0.0).to_numpy()
    order = np.argsort(-doubt, kind="stable")[: int(share * len(doubt))]
    return [int(row) for row in order if doubt[row] > CHANCE]


def _worst(pool: Pool, share: float) -> list[int]:
    """Return the rows of the worst pictures, the worst first."""
    order = np.argsort(pool.scores["quality"].to_numpy(), kind="stable")
    return order[: int(share * len(order))].tolist()


def _limit(sizes: np.ndarray, count: int, cap: float) -> int:
    """Return the most images that an identity may have; `sizes`: (I,) what each has to offer."""
    limit = max(1, int(cap * count / len(sizes)))
    while np.minimum(sizes, limit).sum() < count:
        limit += 1
    return limit
