"""Database augmentation: an image of the gallery answers together with the images nearest to it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.sparse import csc_array

from reidflow.evaluation.retrieval_queries import Retrieval, scores
from reidflow.retrieval.inference._neighbours import add_neighbours, nearest
from reidflow.retrieval.inference._vectors import averageable, moved, stored

TRANSDUCTIVE = False
FLAT = True
LAST = True
BLOCK = 1024


def apply(retrieval: Retrieval, *, k: int = 10) -> Retrieval:
    """Return the gallery replaced by the mean of each image, with weight 1, and its `k` nearest others of the gallery.

    The r-th of them has the weight (k + 1 - r) / (k + 1). Images of its own group, ignored for it, or of another flank
    where candidates have the same, are none of them. Queries are looked at only where they are in the gallery, and
    never for themselves: to a query, every image is what it would be were neither the query nor its group in the
    gallery. Where that makes a difference the result has a matrix.
    Source: Turcot & Lowe 2009, doi:10.1109/ICCVW.2009.5457541; Arandjelovic & Zisserman 2012,
    doi:10.1109/CVPR.2012.6248018; weights by rank: Gordo et al. 2017, arXiv:1610.07940.
    """
    queries, gallery = averageable(retrieval, "database_augmentation")
    unseen = list(_unseen(retrieval))
    spare = max((len(rows) for rows, _ in unseen), default=0)
    places = np.arange(len(gallery))
    among = Retrieval(
        retrieval.gallery,
        retrieval.gallery,
        places,
        retrieval.gallery_group,
        retrieval.gallery_group,
        similarity=retrieval.similarity,
        query_ignored=retrieval.gallery_ignored,
        gallery_ignored=retrieval.gallery_ignored,
        query_shared=retrieval.gallery_shared,
        gallery_shared=retrieval.gallery_shared,
    )
    rows, _ = nearest(among, k + spare)
    augmented = moved(retrieval, queries, _augmented(gallery, places, rows, k))
    if not unseen:
        return augmented
    matrix = np.empty((len(queries), len(gallery)), np.float32)
    for start in range(0, len(queries), BLOCK):
        matrix[start : start + BLOCK] = scores(augmented, slice(start, start + BLOCK))
    helped_by = _helped(rows[:, :k], len(gallery))
    for hidden, who in unseen:
        changed = np.unique(helped_by[:, hidden].indices)
        again = _augmented(gallery, changed, _without(rows[changed], hidden), k)
        seen = replace(augmented, queries=augmented.queries[who], gallery=stored(retrieval, again), query_index=None)
        matrix[np.ix_(who, changed)] = scores(seen, slice(None))
    return replace(augmented, matrix=matrix)


def _augmented(gallery: np.ndarray, places: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Return the means (A, D) of the images at `places` (A,) with the first k of their neighbours `rows` (A, K)."""
    rows = rows[:, :k]
    weights = (k - np.arange(rows.shape[1])) / (k + 1)
    return add_neighbours(gallery[places], gallery, rows, np.broadcast_to(weights, rows.shape))


def _unseen(retrieval: Retrieval) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows of the gallery that some queries must not be helped by, and the rows of those queries."""
    # What is of another flank than the query helps only images of its own flank and of unknown ones, for whoever the query is.
    masks, shared = replace(retrieval, query_shared=None, gallery_shared=None).masks(), {}
    for query in range(len(retrieval.queries)):
        excluded = masks.excluded(slice(query, query + 1))
        hidden = np.flatnonzero(excluded) if excluded is not None else np.empty(0, int)
        if len(hidden):
            shared.setdefault(hidden.tobytes(), (hidden, []))[1].append(query)
    yield from ((hidden, np.array(who)) for hidden, who in shared.values())


def _helped(rows: np.ndarray, gallery: int) -> csc_array:
    """Return (G, G): which images a column's image helps."""
    places, ranks = np.nonzero(rows >= 0)
    return csc_array((np.ones(len(places), bool), (places, rows[places, ranks])), shape=(gallery, gallery))


def _without(rows: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Return neighbours (A, K) without those that are hidden, the others moved up; -1 fills the row."""
    kept = (rows >= 0) & ~np.isin(rows, hidden)
    order = np.argsort(~kept, axis=1, kind="stable")
    return np.take_along_axis(np.where(kept, rows, -1), order, 1)
