"""Facility location and k-centre: the images that stand for all others, chosen greedily and exactly.

Own code: scikit-learn and FAISS have neither. Ties and sums are exact, so no number depends on a block size, a number
of threads or a linear algebra library.

The objective of facility location is the mean over all images of the similarity, max(0, cosine), to the nearest chosen
one. It is monotone and submodular, so the greedy choice reaches at least 1 - 1/e of the best (Nemhauser, Wolsey &
Fisher 1978); gains only shrink, so one computed earlier is a bound (lazy greedy, Minoux 1978). Similarities are whole
steps of 2^-23, hence every gain and every tie is exact; ties go to the first image.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reidflow.dedup.neighbours import nearest

GRAIN = np.float64(2**24)
STEPS = np.float64(2**23)
BLOCK_ELEMENTS = 2**22
DENSE = 8192
"""Up to so many images all similarities are held, 4 bytes each."""
NEIGHBOURS = 32
"""Least number of nearest neighbours of each image in the graph that approximates all similarities."""
WHOLE = 1024
"""So many of the first choices, when one choice still serves most images, are compared with all images."""
OUTDATED = 256
"""Distances that are out of date are brought up to date for so many images at once."""


def exact(features: np.ndarray) -> np.ndarray:
    """Return (R, D) features as float64 unit vectors whose entries are multiples of 2^-24; a zero vector stays zero.

    Products of such entries are multiples of 2^-48 and every partial sum of an inner product stays below 2, so float64
    holds all of them without rounding: the order in which a library adds cannot matter.
    """
    vectors = np.array(features, dtype=np.float64, order="C", ndmin=2)
    norms = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    vectors /= np.where(norms == 0, 1.0, norms)
    vectors *= GRAIN
    np.rint(vectors, out=vectors)
    vectors /= GRAIN
    return vectors


def steps(similarities: np.ndarray) -> np.ndarray:
    """Return similarities in whole steps of 2^-23, int32: sums of them are exact, and equal ones are ties."""
    return np.rint(similarities * STEPS).astype(np.int32)


def block_rows(count: int) -> int:
    """Return how many rows of a (rows, count) block of float64 keep it near 32 MB."""
    return max(1, BLOCK_ELEMENTS // max(1, count))


@dataclass(frozen=True)
class Cap:
    """At most `limit` chosen images of each identity; identity: (R,) integer codes from 0."""

    identity: np.ndarray
    limit: int


def facility_location(features: np.ndarray, count: int, cap: Cap | None = None) -> np.ndarray:
    """Return `count` rows of (R, D) `features` in the greedy order, int64; fewer if `cap` allows no more.

    Exact up to `DENSE` images, on a graph of nearest neighbours beyond.
    """
    choose = dense_greedy if len(features) <= DENSE else sparse_greedy
    return choose(features, count, cap)


def objective(features: np.ndarray, rows: np.ndarray) -> float:
    """Return the mean over all (R, D) images of max(0, cosine) to the nearest of the chosen `rows`; 0 if none is."""
    vectors = exact(features)
    chosen = vectors[rows]
    if not len(chosen):
        return 0.0
    size = block_rows(len(chosen))
    best = [
        _served((vectors[i : i + size] @ chosen.T).max(axis=1)).sum(dtype=np.int64)
        for i in range(0, len(vectors), size)
    ]
    return float(np.sum(best) / STEPS / len(vectors))


def dense_greedy(features: np.ndarray, count: int, cap: Cap | None = None) -> np.ndarray:
    """Return the exact greedy choice from all similarities: 4 R^2 bytes."""
    vectors = exact(features)
    similar = np.empty((len(vectors), len(vectors)), np.int32)
    size = block_rows(len(vectors))
    for start in range(0, len(vectors), size):
        similar[start : start + size] = _served(vectors[start : start + size] @ vectors.T)
    covered = np.zeros(len(vectors), np.int32)

    def gain(row: int) -> int:
        return int(np.maximum(similar[row] - covered, 0).sum(dtype=np.int64))

    def take(row: int) -> None:
        np.maximum(covered, similar[row], out=covered)

    return _lazy(similar.sum(axis=1, dtype=np.int64), gain, take, count, cap)


def sparse_greedy(
    features: np.ndarray, count: int, cap: Cap | None = None, neighbours: int | None = None
) -> np.ndarray:
    """Return the greedy choice when an image serves its nearest neighbours only: memory grows with R, not R^2.

    The neighbours are exact (faiss, flat) and mutual: j serves i if either is among the nearest of the other. What the
    first `WHOLE` choices are to all other images is computed in full. `neighbours`: of each image; by default four
    times as many images as a choice serves on average, from 32 to 256.
    """
    vectors = exact(features)
    if neighbours is None:
        neighbours = int(np.clip(-(-4 * len(vectors) // max(1, count)), NEIGHBOURS, 256))
    starts, others, similar = _graph(vectors, min(neighbours, len(vectors) - 1))
    covered = np.zeros(len(vectors), np.int32)
    fresh: list[int] = []
    whole = 0

    def gain(row: int) -> int:
        part = slice(starts[row], starts[row + 1])
        return int(np.maximum(similar[part] - covered[others[part]], 0).sum(dtype=np.int64))

    def take(row: int) -> None:
        nonlocal whole
        part = slice(starts[row], starts[row + 1])
        covered[others[part]] = np.maximum(covered[others[part]], similar[part])
        fresh.append(row)
        if whole < WHOLE and len(fresh) > whole:
            whole += len(fresh)
            _serve_all(vectors, np.asarray(fresh), covered)
            fresh.clear()

    return _lazy(np.add.reduceat(similar, starts[:-1], dtype=np.int64), gain, take, count, cap)


def _served(similarities: np.ndarray) -> np.ndarray:
    return np.maximum(steps(similarities), 0)


def _lazy(
    gains: np.ndarray, gain: Callable[[int], int], take: Callable[[int], None], count: int, cap: Cap | None
) -> np.ndarray:
    """Return the greedy order; `gains`: (R,) of the empty set; gain(row) computes it afresh, take(row) chooses it."""
    heap = [(-int(g), row) for row, g in enumerate(gains)]
    heapq.heapify(heap)
    left = None if cap is None else np.full(int(cap.identity.max(initial=0)) + 1, cap.limit)
    chosen: list[int] = []
    while heap and len(chosen) < count:
        _, row = heap[0]
        if left is not None and not left[cap.identity[row]]:
            heapq.heappop(heap)
            continue
        now = (-gain(row), row)
        if now > min(heap[1:3], default=now):
            heapq.heapreplace(heap, now)
            continue
        heapq.heappop(heap)
        take(row)
        chosen.append(row)
        if left is not None:
            left[cap.identity[row]] -= 1
    return np.asarray(chosen, np.int64)


def _serve_all(vectors: np.ndarray, chosen: np.ndarray, covered: np.ndarray) -> None:
    """Raise `covered`, (R,) int32 in place, to the similarity to the nearest of the `chosen` rows."""
    size = block_rows(len(chosen))
    for start in range(0, len(vectors), size):
        part = slice(start, start + size)
        served = _served((vectors[part] @ vectors[chosen].T).max(axis=1))
        covered[part] = np.maximum(covered[part], served)


def _graph(vectors: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mutual neighbours as rows (R + 1,) of starts, (E,) int32 others and (E,) int32 similarities in steps.

    Each image is among its own. The others of a row ascend.
    """
    count = len(vectors)
    near = nearest(vectors.astype(np.float32), neighbours)[0]
    rows, edges = np.repeat(np.arange(count), near.shape[1]), near.ravel()
    low, high = np.minimum(rows, edges), np.maximum(rows, edges)
    keys = np.unique(np.concatenate([low * count + high, np.arange(count) * (count + 1)]))
    low, high = keys // count, keys % count
    value = _pairwise(vectors, low, high)
    apart = low != high
    source = np.concatenate([low, high[apart]])
    other = np.concatenate([high, low[apart]])
    order = np.lexsort((other, source))
    starts = np.searchsorted(source[order], np.arange(count + 1))
    return starts, other[order].astype(np.int32), np.concatenate([value, value[apart]])[order]


def _pairwise(vectors: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the similarities (P,) int32, in steps, of pairs of rows."""
    value = np.empty(len(one), np.int32)
    size = block_rows(vectors.shape[1])
    for start in range(0, len(one), size):
        part = slice(start, start + size)
        value[part] = _served(np.einsum("pd,pd->p", vectors[one[part]], vectors[other[part]]))
    return value


def k_center(features: np.ndarray, count: int) -> np.ndarray:
    """Return `count` rows of (R, D) `features`, int64, in the greedy order of k-centre by angle.

    The first is the most central image, whose mean cosine to all is the greatest; then always the image that is least
    similar to its nearest chosen one. Ties go to the first image. The greatest distance is at most twice
    the best possible (Gonzalez 1985; for active learning: Sener & Savarese 2018).

    Exact. A similarity to only some of the chosen images is a lower bound, so only the least similar are looked at
    again.
    """
    vectors = exact(features)
    chosen = np.empty(min(count, len(vectors)), np.int64)
    near = np.full(len(vectors), np.iinfo(np.int32).min)
    seen = np.zeros(len(vectors), np.int64)
    for i in range(len(chosen)):
        chosen[i] = _farthest(vectors, chosen[:i], near, seen) if i else _central(vectors)
        near[chosen[i]] = np.iinfo(np.int32).max
    return chosen


def _central(vectors: np.ndarray) -> int:
    mean = np.rint(vectors.mean(axis=0) * GRAIN) / GRAIN
    return int(np.argmax(steps(vectors @ mean)))


def _farthest(vectors: np.ndarray, chosen: np.ndarray, near: np.ndarray, seen: np.ndarray) -> int:
    """Return the image least similar to the `chosen` ones.

    `near`: (R,) similarity in steps to the nearest of the first `seen` (R,) chosen; both are updated in place.
    """
    while True:
        row = int(np.argmin(near))
        if seen[row] == len(chosen):
            return row
        size = min(OUTDATED, len(near) - 1)
        rows = np.sort(np.argpartition(near, size)[: size + 1])
        rows = rows[(seen[rows] >= seen[row]) & (seen[rows] < len(chosen))]
        found = steps((vectors[rows] @ vectors[chosen[seen[row] :]].T).max(axis=1))
        near[rows] = np.where(near[rows] == np.iinfo(np.int32).max, near[rows], np.maximum(near[rows], found))
        seen[rows] = len(chosen)
