"""Nearest neighbours among the descriptors of a gallery, without those of excluded images."""

from typing import Any

import numpy as np

from reidflow.matching.features import of_length_one

EXACT = 20_000
"""Descriptors up to which all are compared; of more, those of the nearest lists."""
MARGIN = 16
"""Neighbours beyond those wanted that a first search takes, as some may be of excluded images."""
PROBES = 32
"""Lists that a query descriptor looks at."""
TRAINED = 64
"""Descriptors for each list by which lists are made."""
ROUNDS = 8
BLOCK = 100_000  # descriptors added at a time, as 32-bit numbers


class Neighbours:
    """Descriptors (T, D), of length 1 but for rounding, and the image of each, `owners` (T,)."""

    def __init__(self, descriptors: np.ndarray, owners: np.ndarray) -> None:
        self.owners = owners
        self.index = _flat(descriptors) if len(descriptors) <= EXACT else _lists(descriptors)

    def search(self, queries: np.ndarray, k: int, excluded: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the Euclidean distances of the k nearest, float32 (Q, k), inf where there are fewer, and their places.

        queries: descriptors of one image, (Q, D). excluded: images whose descriptors are no neighbours, bool.
        One thread searches, and one image at a time: sums of products depend on how many are computed together.
        """
        import faiss

        faiss.omp_set_num_threads(1)
        distances = np.full((len(queries), k), np.inf, np.float32)
        places = np.zeros((len(queries), k), np.int64)
        left, wanted, total = np.arange(len(queries)), k + (0 if excluded is None else MARGIN), self.index.ntotal
        queries = np.ascontiguousarray(queries, np.float32)
        while len(left) and total:
            wanted = min(wanted, total)
            similarity, found = self.index.search(queries[left], wanted)
            valid = found >= 0
            if excluded is not None:
                valid &= ~excluded[self.owners[found]]
            order = np.argsort(~valid, axis=1, kind="stable")[:, :k]
            kept = np.take_along_axis(valid, order, axis=1)
            length = order.shape[1]
            near = np.sqrt(np.maximum(2 - 2 * np.take_along_axis(similarity, order, axis=1), 0))
            distances[left, :length] = np.where(kept, near, np.inf)
            places[left, :length] = np.where(kept, np.take_along_axis(found, order, axis=1), 0)
            more = (kept.sum(axis=1) < k) & (found[:, -1] >= 0) & (wanted < total)
            left, wanted = left[more], wanted * 4
        return distances, places


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

    faiss.omp_set_num_threads(1)
    count, dim = descriptors.shape
    lists = int(2 * count**0.5)
    with threadpool_limits(1, user_api="blas"):
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
