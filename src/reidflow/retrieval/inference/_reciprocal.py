"""Which images have each other as neighbours, and what each is described by."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from reidflow.evaluation.ranking import STEPS, Similarity, inner_products, similarity_blocks, unit
from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.retrieval.inference._neighbours import largest
from reidflow.splits.candidates import differing


@dataclass(frozen=True)
class Images:
    """The distinct images of a retrieval: its gallery, then the queries that are not in it.

    Attributes:
        points: (N, D) float64; unit vectors on the hypersphere.
        kin: (N, 1 + K) integer codes of the group and of each facet; images that share one do not see each other.
        shared: (N, K) integer codes of what candidates have in common, below 0 where unknown; others do not see each
            other.
        queries: (Q, D) float64, the embeddings of the queries.
        own: (Q,) which image each query is.
        similarity: of the points.
        cosine: whether it is the cosine.
    """

    points: np.ndarray
    kin: np.ndarray
    shared: np.ndarray
    queries: np.ndarray
    own: np.ndarray
    similarity: Similarity
    cosine: bool

    def related(self, images: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return whether images and others, integers that broadcast, do not see each other."""
        found = self.kin[images, 0] == self.kin[others, 0]
        for place in range(1, self.kin.shape[1]):
            found |= self.kin[images, place] == self.kin[others, place]
        for place in range(self.shared.shape[1]):
            found |= differing(self.shared[images, place], self.shared[others, place])
        return found

    def squared(self, steps: np.ndarray) -> np.ndarray:
        """Return the squared distances of similarities in steps, NaN for minus infinity."""
        similar = np.where(np.isneginf(steps), np.nan, steps / STEPS)
        return np.maximum(2 - 2 * similar, 0) if self.cosine else np.square(similar)


def images(retrieval: Retrieval) -> Images:
    """Return the distinct images of a retrieval."""
    if retrieval.among is not None:
        return _scored_images(retrieval)
    cosine = retrieval.similarity is None
    ready = unit if cosine else (lambda vectors: np.array(vectors, np.float64, ndmin=2))
    everyone, similarity = retrieval.everyone(), retrieval.similarity or inner_products
    points, queries = ready(everyone.gallery), ready(retrieval.queries)
    return Images(points, *_codes(everyone), queries, retrieval.own_images(), similarity, cosine)


def _scored_images(retrieval: Retrieval) -> Images:
    """Return the images of a retrieval by what each pair of them scores: a point is the row of an image in `among`.

    Scores are scaled to 0 to 1 and taken for cosines, so that all distances fall with them.
    """
    matrix = retrieval.among
    finite = matrix[np.isfinite(matrix)]
    least, most = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)

    def scored(images: np.ndarray, others: np.ndarray) -> np.ndarray:
        found = matrix[np.ix_(images[:, 0].astype(np.int64), others[:, 0].astype(np.int64))]
        return (found - np.float64(least)) / ((most - least) or 1.0)

    rows, count = np.arange(len(matrix), dtype=np.float64)[:, None], matrix.shape[1]
    codes = _codes(retrieval.everyone())
    return Images(rows[:count], *codes, rows[count:], retrieval.own_images(), scored, True)


def _codes(everyone: Retrieval) -> tuple[np.ndarray, np.ndarray]:
    """Return `kin` and `shared` of the images."""
    count, ignored, shared = len(everyone.gallery), everyone.gallery_ignored, everyone.gallery_shared
    group = np.arange(count) if everyone.gallery_group is None else everyone.gallery_group
    kin = group[:, None] if ignored is None else np.concatenate([group[:, None], ignored], axis=1)
    return kin, np.empty((count, 0), int) if shared is None else shared


@dataclass(frozen=True)
class Neighbours:
    """What each of some rows has near it.

    Attributes:
        own: (R,) which image each row is.
        vectors: (R, D).
        first: (R, K) its nearest images, itself the first, -1 where there are no more.
        farthest: (R,) the squared distance of the farthest, 1 where all distances are 0.
    """

    own: np.ndarray
    vectors: np.ndarray
    first: np.ndarray
    farthest: np.ndarray


def neighbours(
    among: Images, vectors: np.ndarray, own: np.ndarray, count: int, distances: np.ndarray | None = None
) -> Neighbours:
    """Return the first `count` images, itself included, of each of (R, D) vectors; images that it does not see are
    none.

    distances: (R, G) float32, filled with the squared distances to the first G images, over the row's largest.
    """
    first = np.empty((len(vectors), min(count, len(among.points))), np.int64)
    farthest, everyone = np.empty(len(vectors)), np.arange(len(among.points))
    for rows, steps in similarity_blocks(vectors, among.points, among.similarity, None):
        similar = steps.copy()
        similar[among.related(own[rows, None], everyone)] = -np.inf
        reached = np.where(np.isneginf(similar), np.inf, similar).min(axis=1)
        similar[np.arange(len(similar)), own[rows]] = np.inf
        first[rows] = largest(similar, first.shape[1])[0]
        limit = among.squared(np.where(np.isposinf(reached), np.nan, reached).astype(np.float32))
        farthest[rows] = np.where(limit > 0, limit, 1.0)
        if distances is not None:
            distances[rows] = among.squared(steps[:, : distances.shape[1]]) / farthest[rows, None]
    return Neighbours(own, vectors, first, farthest)


def described(among: Images, known: Neighbours, rows: Neighbours, k1: int) -> csr_array:
    """Return V (R, N) of rows, each adding up to 1, before it is averaged.

    known: the neighbours of all images, which decide who has a row among its own.
    """
    half = int(np.around(k1 / 2))
    wide, narrow = _reciprocal(rows, known, k1 + 1), _reciprocal(known, known, half + 1)
    inside = (wide @ narrow.T).multiply(wide).tocoo()
    sizes = narrow.sum(axis=1)
    kept = 3 * inside.data > 2 * sizes[inside.col]
    joining = _pattern(inside.row[kept], inside.col[kept], wide.shape)
    place, image = (wide + joining @ narrow).nonzero()
    # A neighbour's neighbours may include the image's own group.
    allowed = ~among.related(image, rows.own[place]) | (image == rows.own[place])
    return _weighted(among, rows, _pattern(place[allowed], image[allowed], wide.shape))


def averaged(rows: Neighbours, own: csr_array, images: csr_array, k2: int) -> csr_array:
    """Return the means (R, N) of each row's V (`own`) and those (`images`) of the others among its first k2."""
    first = rows.first[:, 1:k2]
    place, rank = np.nonzero(first >= 0)
    others = _pattern(place, first[place, rank], own.shape).astype(np.float64)
    count = 1 + others.sum(axis=1)
    return csr_array((own + others @ images).multiply(1 / count[:, None]))


def _reciprocal(rows: Neighbours, known: Neighbours, count: int) -> csr_array:
    """Return (R, N): the first `count` images of each row that have it among their own first `count`."""
    size = len(known.first)
    backward = _listed(known, count, size).T.tocsr()[rows.own]
    return csr_array(_listed(rows, count, size).multiply(backward))


def _listed(rows: Neighbours, count: int, size: int) -> csr_array:
    place, rank = np.nonzero(rows.first[:, :count] >= 0)
    return _pattern(place, rows.first[place, rank], (len(rows.first), size))


def _pattern(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=shape)


def _weighted(among: Images, rows: Neighbours, pattern: csr_array) -> csr_array:
    """Return the pattern with the weights exp(-d), each row's adding up to 1."""
    pattern.sort_indices()
    weights = np.empty(pattern.nnz)
    for place, (start, end) in enumerate(zip(pattern.indptr[:-1], pattern.indptr[1:], strict=True)):
        near = pattern.indices[start:end]
        (_, steps), *_ = similarity_blocks(rows.vectors[[place]], among.points[near], among.similarity, 1)
        apart = among.squared(steps[0]) / rows.farthest[place]
        apart[near == rows.own[place]] = 0.0
        some = np.exp(-apart)
        weights[start:end] = some / some.sum()
    return csr_array((weights, pattern.indices, pattern.indptr), shape=pattern.shape)
