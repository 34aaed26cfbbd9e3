"""k-reciprocal re-ranking: images are alike that have the same neighbours, each a neighbour of the other."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csc_array, csr_array
from threadpoolctl import threadpool_limits

from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.retrieval.inference._reciprocal import averaged, described, images, neighbours
from reidflow.spec.errors import ReidflowError

TRANSDUCTIVE = True
FLAT = False
LAST = True
SIMILARITIES = True


def apply(retrieval: Retrieval, *, k1: int = 20, k2: int = 6, lambda_: float = 0.3) -> Retrieval:
    """Return `retrieval` with a matrix: 1 - [(1 - lambda) Jaccard distance + lambda distance], between 0 and 1.

    Among all distinct images, queries and gallery (a query in the gallery is one image):
    d(i, j) is the squared distance (2 - 2 cosine on the hypersphere) over the largest of i's.
    N(i, k) is i and its k nearest others, R(i, k) those j of N(i, k) that have i in N(j, k).
    R*(i) is R(i, k1) joined by every R(j, k1 / 2), j in R(i, k1), of which more than 2/3 are in R(i, k1).
    V(i) gives j in R*(i) the weight exp(-d(i, j)), the weights adding up to 1; then it is the mean of V over the `k2`
    first of N(i) (i itself the first). The Jaccard distance is 1 - sum min(V(i), V(j)) / sum max(V(i), V(j)).
    N counts i, d is scaled and the 2/3 are exceeded as in the authors' code; the paper's text has none of the three.

    Images of one group are no neighbours of each other, and a query is compared without the weight on its own group.
    Where an earlier step has moved a query in the gallery, it has its new place as a query and its old one
    as an image of the gallery. Equal distances rank by row of the gallery, queries outside it last. `k1` or `k2` beyond
    the number of images take all. Works in every geometry, and on what several scores make of all pairs of images,
    scaled to 0 to 1: d(i, j) is then 2 - 2 times that. Time grows with the square of the images; memory with Q x G.
    Source: Zhong et al. 2017, arXiv:1701.08398.
    """
    if k1 < 1 or k2 < 1 or not 0 <= lambda_ <= 1:
        raise ReidflowError(
            f"inference: k_reciprocal takes k1 and k2 of at least 1 and lambda_ from 0 to 1, not {k1}, {k2} and "
            f"{lambda_:g}. Write e.g. {{name: k_reciprocal, k1: 20, k2: 6, lambda_: 0.3}}."
        )
    if retrieval.matrix is not None and retrieval.among is None:
        raise ReidflowError(
            "inference: 'k_reciprocal' needs embeddings, but the step before it has replaced them by similarities. "
            "Use one of the two."
        )
    among = images(retrieval)
    matrix = np.empty((len(retrieval.queries), len(retrieval.gallery)), np.float32)
    # Sums over several threads have no fixed order.
    with threadpool_limits(1, "blas"):
        count = max(k1 + 1, k2)
        known = neighbours(among, among.points, np.arange(len(among.points)), count)
        of_queries = neighbours(among, among.queries, among.own, count, matrix)
        sides = [described(among, known, side, k1) for side in (known, of_queries)]
    shown, wanted = (averaged(side, own, sides[0], k2) for side, own in zip((known, of_queries), sides, strict=True))
    shown = shown[: len(retrieval.gallery)].tocsc()
    everyone = np.arange(len(among.points))
    for query, image in enumerate(among.own):
        siblings = np.flatnonzero(among.related(image, everyone) & (everyone != image))
        matrix[query] = lambda_ * matrix[query] + (1 - lambda_) * _jaccard(wanted, shown, query, siblings)
    return replace(retrieval, matrix=np.subtract(np.float32(1), matrix, out=matrix))


def _jaccard(wanted: csr_array, shown: csc_array, query: int, left_out: np.ndarray) -> np.ndarray:
    """Return the Jaccard distances (G,) of one row of `wanted` (Q, N) to all of `shown` (G, N),
    without some columns.
    """
    own = slice(*wanted.indptr[query : query + 2])
    columns, weights = wanted.indices[own], wanted.data[own]
    kept = ~np.isin(columns, left_out)
    columns, weights = columns[kept], weights[kept]
    sizes = shown.indptr[columns + 1] - shown.indptr[columns]
    ends = np.cumsum(sizes)
    entries = np.arange(sizes.sum()) + np.repeat(shown.indptr[columns] - ends + sizes, sizes)
    least = np.minimum(shown.data[entries], np.repeat(weights, sizes))
    shared = np.bincount(shown.indices[entries], weights=least, minlength=shown.shape[0])
    hidden = shown[:, left_out].sum(axis=1) if len(left_out) else 0.0
    return 1 - shared / (weights.sum() + (1 - hidden) - shared)
