"""Exact nearest neighbours and near pairs by cosine, in blocks, the same whatever the block and the threads.

FAISS and BLAS compute in float32, where the last bits of a sum depend on the block and the number of threads. So they
only propose: every proposal within their error of the limit is recomputed, pair by pair, in float64, and rounded to
steps of 2^-21, so that copies are exactly 0 apart. Equal similarities rank by row.
"""

import numpy as np

from reidflow.spec.errors import ReidflowError

STEP = 2.0**-21  # four times the most that rounding unit vectors to float32 changes a cosine
SLACK = 1e-5  # more than the error of an inner product of float32 unit vectors
SPARE = 6  # neighbours searched beyond those returned, so that a tie at the end is detected
TILE = 2048
MOST = 20_000_000  # pairs that are held: half a GB
CHUNK = 2**22  # numbers at a time when similarities are recomputed


def unit(features: np.ndarray) -> np.ndarray:
    """Return (N, D) features as float32 unit vectors; a zero vector stays zero."""
    features = np.ascontiguousarray(features, np.float32)
    vectors = np.empty_like(features)
    for start in range(0, len(features), TILE):
        some = features[start : start + TILE].astype(np.float64)
        norms = np.sqrt(np.einsum("nd,nd->n", some, some))
        vectors[start : start + TILE] = some / np.where(norms > 0, norms, 1)[:, None]
    return vectors


def nearest(vectors: np.ndarray, count: int, block: int = 4096) -> tuple[np.ndarray, np.ndarray]:
    """Return the `count` nearest other rows of each row: rows (N, count) int64 and cosines (N, count) float64.

    vectors: (N, D) float32 unit vectors. Nearest first; ties by row. Fewer than `count` others: all of them.
    Library: FAISS, IndexFlatIP.
    """
    import faiss

    count = min(count, len(vectors) - 1)
    if count < 1:
        return np.empty((len(vectors), 0), np.int64), np.empty((len(vectors), 0))
    searched = min(count + 1 + SPARE, len(vectors))
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    rows, cosines = np.empty((len(vectors), count), np.int64), np.empty((len(vectors), count))
    for start in range(0, len(vectors), block):
        queries = np.arange(start, min(start + block, len(vectors)))
        proposed, found = index.search(vectors[queries], searched)
        rows[queries], cosines[queries] = _best(vectors, queries, found, count)
        if searched < len(vectors):
            unsure = queries[cosines[queries, -1] - SLACK <= proposed[:, -1]]
            for query in unsure:
                near = np.flatnonzero(vectors @ vectors[query] >= cosines[query, -1] - SLACK)
                rows[query], cosines[query] = (part[0] for part in _best(vectors, [query], near[None], count))
    return rows, cosines


def _best(
    vectors: np.ndarray, queries: np.ndarray | list[int], found: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best `count` of the rows found (Q, K) for each query, the query itself left out."""
    values = cosine(vectors, np.repeat(queries, found.shape[1]), found.ravel()).reshape(found.shape)
    values[found == np.asarray(queries)[:, None]] = -np.inf
    order = np.lexsort((found, -values), axis=1)[:, :count]
    return np.take_along_axis(found, order, 1), np.take_along_axis(values, order, 1)


def cosine(vectors: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosines of pairs of rows of unit `vectors`, (P,) float64 in steps of 2^-21.

    Each is one sum in float64, whatever the other pairs.
    """
    values = np.empty(len(first))
    size = max(1, CHUNK // vectors.shape[1])
    for start in range(0, len(first), size):
        some = slice(start, start + size)
        values[some] = np.einsum("nd,nd->n", vectors[first[some]], vectors[second[some]], dtype=np.float64)
    return np.rint(values / STEP) * STEP


def near_pairs(vectors: np.ndarray, loosest: float, rows: slice | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return every pair of rows with 1 - cosine <= `loosest`: (P, 2) int64 of i < j, sorted, and (P,) distances.

    vectors: (N, D) float32 unit vectors. rows: those of i, by default all. Distances are in steps of 2^-21, at least 0.
    Time grows with N^2, memory with the pairs, and with tiles of 2048 x 2048 beside them. Raises ReidflowError for more
    than `MOST` pairs.
    """
    pairs, distances = [np.empty((0, 2), np.int64)], [np.empty(0)]
    first, end, _ = (rows or slice(None)).indices(len(vectors))
    for start in range(first, end, TILE):
        for other in range(start, len(vectors), TILE):
            similar = vectors[start : min(start + TILE, end)] @ vectors[other : other + TILE].T >= 1 - loosest - SLACK
            i, j = np.nonzero(np.triu(similar, 1) if other == start else similar)
            apart = pair_distances(vectors, i + start, j + other)
            near = apart <= loosest
            pairs.append(np.stack([i + start, j + other], axis=1)[near])
            distances.append(apart[near])
        if sum(map(len, distances)) > MOST:
            raise ReidflowError(
                f"more than {MOST:,} pairs of images have embeddings at most {loosest:g} apart. Lower the largest threshold."
            )
    found, apart = np.concatenate(pairs), np.concatenate(distances)
    order = np.lexsort((found[:, 1], found[:, 0]))
    return found[order], apart[order]


def pair_distances(vectors: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return 1 - cosine of pairs of rows of unit `vectors`, (P,) float64, at least 0."""
    return np.maximum(0.0, 1 - cosine(vectors, first, second))
