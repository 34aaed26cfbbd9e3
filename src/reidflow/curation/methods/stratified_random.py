"""Images drawn at random within each identity, in proportion to its images."""

import numpy as np

from reidflow.curation.pool import Pool

DRAWS = True


def select(pool: Pool, count: int) -> np.ndarray:
    """Return `count` rows (count,) int64, ascending.

    Seats go to identities in proportion to their images, by largest remainder (Hamilton); each has at least one where
    `count` allows it. Ties of the remainder, and the images within an identity, are drawn.
    """
    codes = pool.codes()
    seats = _seats(np.bincount(codes), count, pool.random)
    order = pool.random.permutation(len(codes))
    return np.sort(np.concatenate([order[codes[order] == code][:share] for code, share in enumerate(seats)]))


def _seats(sizes: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Return how many of `count` seats each identity receives, (I,) int64; `sizes`: (I,) its images."""
    ideal = count * sizes / sizes.sum()
    seats = np.floor(ideal).astype(np.int64)
    if count >= len(sizes):
        seats = np.maximum(seats, 1)
    chance = random.permutation(len(sizes))
    while seats.sum() < count:
        owed = np.where(seats < sizes, ideal - seats, -np.inf)
        seats[np.lexsort((chance, -owed))[0]] += 1
    while seats.sum() > count:
        spare = np.where(seats > 1, seats - ideal, -np.inf)
        seats[np.lexsort((chance, -spare))[0]] -= 1
    return seats
