"""k-reciprocal re-ranking (Zhong et al. 2017) written out set by set, without the code under test, to compare with."""

import math

import numpy as np


def squared_distances(vectors: np.ndarray) -> np.ndarray:
    long = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return np.round((2 - 2 * long @ long.T) * 2.0**22) / 2.0**22


def final_distances(
    apart: np.ndarray, queries: list[int], gallery: list[int], k1: int, k2: int, weight: float, group=None
) -> np.ndarray:
    """(Q, G) of symmetric squared distances (N, N) between images; queries and gallery: which images they are."""
    images = range(len(apart))
    group = list(images) if group is None else list(group)
    alien = {i: [j for j in images if group[j] != group[i]] for i in images}
    scaled = {i: apart[i] / (max([apart[i, j] for j in alien[i]], default=0) or 1) for i in images}
    order = {i: [i, *sorted(alien[i], key=lambda j, i=i: (apart[i, j], j))] for i in images}

    def nearest(i: int, k: int) -> list[int]:
        return order[i][: k + 1]

    def reciprocal(i: int, k: int) -> set[int]:
        return {j for j in nearest(i, k) if i in nearest(j, k)}

    described = []
    for i in images:
        members = reciprocal(i, k1)
        for j in reciprocal(i, k1):
            theirs = reciprocal(j, round(k1 / 2))
            if len(theirs & reciprocal(i, k1)) > 2 / 3 * len(theirs):
                members = members | theirs
        members = {j for j in members if j == i or group[j] != group[i]}
        row = np.zeros(len(apart))
        for j in members:
            row[j] = math.exp(-(scaled[i][j] if j != i else 0))
        described.append(row / row.sum())
    averaged = [np.mean([described[j] for j in order[i][:k2]], axis=0) for i in images]
    found = np.empty((len(queries), len(gallery)))
    for row, q in enumerate(queries):
        kept = [j for j in images if j == q or group[j] != group[q]]
        for column, g in enumerate(gallery):
            one, other = averaged[q][kept], averaged[g][kept]
            jaccard = 1 - np.minimum(one, other).sum() / np.maximum(one, other).sum()
            found[row, column] = (1 - weight) * jaccard + weight * scaled[q][g]
    return found
