"""A random sample stratified by identity."""

import numpy as np

from reidflow.curation.pool import Pool

RANDOM = True


def select(pool: Pool, count: int) -> np.ndarray:
    """Return `count` rows (count,) int64, ascending.

    Places in the sample go to identities in proportion to their images, by largest remainder (Hamilton); each has at
    least one where `count` allows it. Ties of the remainder, and the images within an identity, are random.
    """
    codes = pool.codes()
    allocation = _allocation(np.bincount(codes), count, pool.random)
    order = pool.random.permutation(len(codes))
    return np.sort(np.concatenate([order[codes[order] == code][:share] for code, share in enumerate(allocation)]))


def _allocation(sizes: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Return how many of `count` images each identity contributes, (I,) int64; `sizes`: (I,) its images."""
    ideal = count * sizes / sizes.sum()
    allocation = np.floor(ideal).astype(np.int64)
    if count >= len(sizes):
        allocation = np.maximum(allocation, 1)
    chance = random.permutation(len(sizes))
    while allocation.sum() < count:
        owed = np.where(allocation < sizes, ideal - allocation, -np.inf)
        allocation[np.lexsort((chance, -owed))[0]] += 1
    while allocation.sum() > count:
        spare = np.where(allocation > 1, allocation - ideal, -np.inf)
        allocation[np.lexsort((chance, -spare))[0]] -= 1
    return allocation
