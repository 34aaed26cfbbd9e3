"""Nearest neighbours among the descriptors of a gallery, without those of excluded images."""

import numpy as np

MARGIN = 16
"""Neighbours beyond those wanted that a first search takes, as some may be of excluded images."""


class Neighbours:
    """Descriptors of length 1, (T, D), and the image of each, `owners` (T,)."""

    def __init__(self, descriptors: np.ndarray, owners: np.ndarray) -> None:
        import faiss

        self.owners = owners
        self.index = faiss.IndexFlatIP(descriptors.shape[1])
        self.index.add(np.ascontiguousarray(descriptors, np.float32))

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
            left = left[kept.sum(axis=1) < k] if wanted < total else left[:0]
            wanted *= 4
        return distances, places
