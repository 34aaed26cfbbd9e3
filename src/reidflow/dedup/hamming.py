"""Exact pairs of hashes within a Hamming distance, by the pigeonhole principle.

Cut the bits into `distance` + 1 parts: two hashes that differ in at most `distance` bits agree in a whole part. So only
hashes that share a part are compared. Where that would save nothing (a large distance, hashes that resemble each
other), all are compared.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BLOCK = 2**15  # comparisons at a time: they stay in the processor's cache
TASK = 2**24  # comparisons a thread takes at once
SMALL = 24  # buckets up to this size are compared by shifts of the sorted hashes, larger ones in blocks
FEWEST = 2048  # so few hashes are compared all with all


def close_pairs(hashes: np.ndarray, distance: int, threads: int = 1) -> np.ndarray:
    """Return every pair of hashes that differ in at most `distance` bits: (P, 3) int64 of i, j > i, and the distance.

    hashes: (N,) or (N, W) uint64. Sorted by (i, j), whatever `threads`. Exact; memory grows with N and the pairs.
    """
    words = np.ascontiguousarray(hashes if np.ndim(hashes) == 2 else hashes[:, None], np.uint64)
    parts = _parts(words, distance) if len(words) > FEWEST else None
    found = _all_pairs(words, distance, threads) if parts is None else _parted_pairs(words, parts, distance, threads)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def _parts(words: np.ndarray, distance: int) -> list[np.ndarray] | None:
    """Return for each of `distance` + 1 parts of the bits its value per hash, or None where parts save nothing.

    Neighbouring bits, which resemble each other, fall into different parts.
    """
    bits = words.shape[1] * 64
    if distance + 1 > bits // 4:
        return None
    parts, comparisons = [], 0
    for part in range(distance + 1):
        value = np.zeros(len(words), np.uint64)
        for bit in range(part, bits, distance + 1):
            value = value << np.uint64(1) | words[:, bit // 64] >> np.uint64(63 - bit % 64) & np.uint64(1)
        sizes = np.unique(value, return_counts=True)[1]
        comparisons += np.square(sizes, dtype=np.int64).sum()
        parts.append(value)
    return parts if comparisons < len(words) ** 2 / 2 else None


def _all_pairs(words: np.ndarray, distance: int, threads: int) -> np.ndarray:
    return _compared(words, [(0, len(words))], distance, threads)


def _parted_pairs(words: np.ndarray, parts: list[np.ndarray], distance: int, threads: int) -> np.ndarray:
    """Compare the hashes that share a part; a pair counts in the first part that it shares."""
    found = []
    for number, value in enumerate(parts):
        starts, order = _buckets(value)
        sizes = np.diff(starts)
        large = [(starts[b], starts[b + 1]) for b in np.flatnonzero(sizes > SMALL)]
        small = order[np.repeat(sizes <= SMALL, sizes)]
        compared = _compared(words[order], large, distance, threads)
        shifted = _shifted(words[small], value[small], distance)
        pairs = np.concatenate([_renamed(compared, order), _renamed(shifted, small)])
        first = np.ones(len(pairs), bool)
        for earlier in parts[:number]:
            first &= earlier[pairs[:, 0]] != earlier[pairs[:, 1]]
        found.append(pairs[first])
    return np.concatenate(found)


def _buckets(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts of the runs of equal values, and the order that makes them runs."""
    order = np.argsort(value, kind="stable")
    ranked = value[order]
    return np.r_[0, np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, len(value)], order


def _renamed(pairs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    first, second = rows[pairs[:, 0]], rows[pairs[:, 1]]
    return np.stack([np.minimum(first, second), np.maximum(first, second), pairs[:, 2]], axis=1)


def _shifted(words: np.ndarray, value: np.ndarray, distance: int) -> np.ndarray:
    """Return the close pairs of equal value, hashes of equal value standing together, at most SMALL of them."""
    found = [np.empty((0, 3), np.int64)]
    for shift in range(1, min(SMALL, len(words))):
        apart = _apart(words[:-shift], words[shift:])
        i = np.flatnonzero((value[:-shift] == value[shift:]) & (apart <= distance))
        found.append(np.stack([i, i + shift, apart[i]], axis=1).astype(np.int64))
    return np.concatenate(found)


def _compared(words: np.ndarray, ranges: list[tuple[int, int]], distance: int, threads: int) -> np.ndarray:
    """Return the close pairs within each range of hashes."""
    tasks = list(_tasks(ranges))
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda task: _compare(words, task, distance), tasks))
    return np.concatenate([np.empty((0, 3), np.int64), *found])


Task = list[tuple[int, int, int]]


def _tasks(ranges: list[tuple[int, int]]) -> Iterator[Task]:
    """Yield lists of blocks (start, stop, end): hashes start to stop are to be compared with start to end."""
    task, size = [], 0
    for start, end in ranges:
        while start < end:
            stop = min(end, start + max(8, BLOCK // (end - start)))
            task.append((start, stop, end))
            size += (stop - start) * (end - start)
            start = stop
            if size > TASK:
                yield task
                task, size = [], 0
    if task:
        yield task


def _compare(words: np.ndarray, task: Task, distance: int) -> np.ndarray:
    found = [np.empty((0, 3), np.int64)]
    for start, stop, end in task:
        apart = _apart(words[start:stop, None], words[None, start:end])
        i, j = np.divmod(np.flatnonzero(apart <= distance), end - start)
        keep = j > i
        i, j = i[keep], j[keep]
        found.append(np.stack([i + start, j + start, apart[i, j]], axis=1).astype(np.int64))
    return np.concatenate(found)


def _apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the number of different bits, over the last axis."""
    apart = np.bitwise_count(first[..., 0] ^ second[..., 0])
    if first.shape[-1] > 1:
        apart = apart.astype(np.uint16)
        for word in range(1, first.shape[-1]):
            apart += np.bitwise_count(first[..., word] ^ second[..., word])
    return apart
