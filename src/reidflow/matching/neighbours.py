"""Nearest neighbours among the descriptors of a gallery, without those of excluded images, counted by group."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from reidflow.matching.features import of_length_one

EXACT = 20_000
"""Descriptors up to which all are compared; of more, those of the nearest lists."""
MARGIN = 16
"""Neighbours beyond those wanted that a first search takes, as some may be excluded, or of one group."""
PROBES = 32
"""Lists that a query descriptor looks at."""
TRAINED = 64
"""Descriptors for each list by which lists are made."""
ROUNDS = 8
BLOCK = 100_000  # descriptors added at a time, as 32-bit numbers


class Found(NamedTuple):
    """Images near query descriptors, each by its nearest descriptor, up to the nearest of the k-th group.

    Attributes:
        queries: (N,) the query descriptor, in rising order, and of each the nearest image first.
        places: (N,) of the image's descriptor.
        distances: (N,) Euclidean, float32.
        nearest: (Q, k) float32 of each query descriptor to the nearest descriptor of the k nearest groups, inf where there
            are fewer.
        owners: (Q, k) the images of these, -1 where there are fewer.
    """

    queries: np.ndarray
    places: np.ndarray
    distances: np.ndarray
    nearest: np.ndarray
    owners: np.ndarray


class Neighbours:
    """Descriptors (T, D), of length 1 but for rounding, the image of each, `owners` (T,), and the images' `groups` (G,)."""

    def __init__(self, descriptors: np.ndarray, owners: np.ndarray, groups: np.ndarray) -> None:
        self.owners, self.groups = owners, groups
        self.index = _flat(descriptors) if len(descriptors) <= EXACT else _lists(descriptors)
        self.present = np.unique(owners)

    def search(self, queries: np.ndarray, k: int, excluded: np.ndarray | None) -> Found:
        """Return the images up to the k-th nearest group. More are looked for until there are k groups, or no more.

        queries: descriptors of one image, (Q, D). excluded: images whose descriptors are no neighbours, bool (G,).
        One thread searches, and one image at a time: sums of products depend on how many are computed together.
        """
        nearest, owners = np.full((len(queries), k), np.inf, np.float32), np.full((len(queries), k), -1)
        parts: list[tuple[np.ndarray, ...]] = []
        there = self.present if excluded is None else self.present[~excluded[self.present]]
        groups, total = min(k, len(np.unique(self.groups[there]))), self.index.ntotal
        left, wanted = np.arange(len(queries) if groups else 0), k + MARGIN
        queries = np.ascontiguousarray(queries, np.float32)
        while len(left):
            wanted = min(wanted, total)
            with one_thread():
                similarity, found = self.index.search(queries[left], wanted)
            images = np.where(found < 0, -1, self.owners[found])
            if excluded is not None:
                images[excluded[images]] = -1
            images[found < 0] = -1
            codes = np.where(images < 0, -1, self.groups[images])
            first = _first(codes) & (images >= 0)
            number = np.cumsum(first, axis=1)
            done = (number[:, -1] >= groups) | (found[:, -1] < 0) | (wanted == total)
            kept = (number < k) | (first & (number == k))
            kept &= done[:, None] & (images >= 0) & _first(images)
            distances = np.sqrt(np.maximum(2 - 2 * np.maximum(similarity, -1), 0))
            row, column = np.nonzero(kept)
            parts.append((left[row], found[row, column], distances[row, column]))
            leading = first[row, column]
            row, column = row[leading], column[leading]
            nearest[left[row], number[row, column] - 1] = distances[row, column]
            owners[left[row], number[row, column] - 1] = images[row, column]
            left, wanted = left[~done], wanted * 4
        row, places, distances = (np.concatenate(part) for part in zip(*parts, strict=True)) if parts else _NONE
        order = np.argsort(row, kind="stable")
        return Found(row[order], places[order], distances[order], nearest, owners)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run FAISS with one thread in the body, then with as many as before: a thread's number is its own."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


_NONE = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)


def _first(codes: np.ndarray) -> np.ndarray:
    """Return where a code comes for the first time in its row, bool (Q, n)."""
    order = np.argsort(codes, axis=1, kind="stable")
    ordered = np.take_along_axis(codes, order, axis=1)
    new = np.ones(codes.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    found = np.empty(codes.shape, bool)
    np.put_along_axis(found, order, new, axis=1)
    return found


def _flat(descriptors: np.ndarray) -> Any:
    import faiss

    index = faiss.IndexFlatIP(descriptors.shape[1])
    index.add(of_length_one(descriptors))
    return index


def _lists(descriptors: np.ndarray) -> Any:
    """Return an index of 16-bit descriptors in lists around centres, about twice the root of their number; seeded.

    Source: Sivic & Zisserman 2003, doi:10.1109/ICCV.2003.1238663. Library: FAISS, IndexIVFScalarQuantizer.
    """
    import faiss
    from threadpoolctl import threadpool_limits

    count, dim = descriptors.shape
    lists = int(2 * count**0.5)
    with one_thread(), threadpool_limits(1, user_api="blas"):
        index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(dim), dim, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        index.cp.niter, index.cp.seed, index.by_residual = ROUNDS, 0, False
        index.cp.max_points_per_centroid = TRAINED
        sample = np.random.default_rng(0).choice(count, min(count, TRAINED * lists), replace=False)
        index.train(of_length_one(descriptors[np.sort(sample)]))
        for start in range(0, count, BLOCK):
            index.add(of_length_one(descriptors[start : start + BLOCK]))
    index.nprobe = PROBES
    return index
