"""An index of vectors: built, stored in a file, and searched. The same vectors give the same bytes and the same
answers.

FAISS computes in float32, where the last bits of a sum depend on the number of threads and of queries. So an index only
proposes: what it proposes is compared again in float64, and of equal similarities the row that comes first is first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from threadpoolctl import threadpool_limits

from reidflow.dedup.neighbours import SLACK, SPARE, STEP
from reidflow.evaluation.ranking import unit
from reidflow.evaluation.retrieval_queries import Retrieval, ranked_blocks
from reidflow.matching.neighbours import one_thread
from reidflow.spec.components import call
from reidflow.spec.errors import ReidflowError
from reidflow.store.atomic import replacing

EXACT = "flat"
SAMPLE = 1000
BLOCK = 1024
PER_CODED = 10
NEVER = 2**31 - 1


def build_index(vectors: np.ndarray, component: dict[str, Any]) -> faiss.Index:
    """Return the index of unit vectors (N, D) float32 that a resolved component of the kind `index` makes.

    It is made by one thread: with more, the order in which vectors enter a graph is left to chance.
    """
    with _one_thread():
        return call("index", component, np.ascontiguousarray(vectors, np.float32))


def write_index(index: faiss.Index, path: Path) -> None:
    """Write the index to `path` atomically."""
    with replacing(path) as temporary:
        faiss.write_index(index, str(temporary))


def read_index(path: Path) -> faiss.Index:
    """Read an index. Raises ReidflowError for a missing or damaged file."""
    try:
        return faiss.read_index(str(path))
    except RuntimeError as error:
        raise ReidflowError(f"{path}: not an index that can be read. Rebuild the gallery with --rebuild.") from error


def search(index: faiss.Index, vectors: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k most similar rows of each query: rows (Q, k) int64 and cosines (Q, k) float64, best first.

    index: of `vectors` (N, D), unit vectors as are the queries (Q, D). Cosines are in steps of 2^-21; ties are in the
    order of their rows. Fewer than k rows: all of them. Where an approximate index finds fewer, -1 and -inf at the end.
    """
    k = min(k, len(vectors))
    rows, cosines = np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), -np.inf)
    retrieval, exact = _proposals(index, k, len(vectors)), isinstance(index, faiss.IndexFlat)
    for start in range(0, len(queries) if k else 0, BLOCK):
        some = slice(start, start + BLOCK)
        proposed, found = _propose(index, queries[some], retrieval, exact)
        rows[some], cosines[some] = _best(vectors, queries[some], found, k)
        if exact and retrieval < len(vectors):
            unsure = np.flatnonzero(cosines[some][:, -1] - SLACK <= proposed[:, -1]) + start
            for query in unsure:
                near = np.flatnonzero(vectors @ queries[query] >= cosines[query, -1] - SLACK)
                (rows[query],), (cosines[query],) = _best(vectors, queries[query][None], near[None], k)
    return rows, cosines


def measured_recall(index: faiss.Index, vectors: np.ndarray, k: int = 10, sample: int = SAMPLE) -> float:
    """Return which share of the k nearest others of vectors the index finds: the mean over a sample of them.

    Every vector is a query where there are no more than `sample`, else some at equal distances in their order.
    """
    sampled = np.unique(np.linspace(0, len(vectors) - 1, min(sample, len(vectors))).round().astype(np.int64))
    k = min(k + 1, len(vectors))
    exact = faiss.IndexFlatIP(vectors.shape[1])
    exact.add(vectors)
    wanted, _ = search(exact, vectors, vectors[sampled], k)
    found, _ = search(index, vectors, vectors[sampled], k)
    others = [set(row.tolist()) - {own} for row, own in zip(wanted, sampled.tolist(), strict=True)]
    shares = [len(other & set(row.tolist())) / len(other) for other, row in zip(others, found, strict=True) if other]
    return float(np.mean(shares)) if shares else 1.0


def _proposals(index: faiss.Index, k: int, count: int) -> int:
    """Return how many rows an index is to propose for k: more where it only knows codes of them."""
    coded = isinstance(index, faiss.IndexIVFPQ | faiss.IndexPQ)
    return min(max(k + SPARE, PER_CODED * k if coded else 0), count)


def _propose(index: faiss.Index, queries: np.ndarray, count: int, exact: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return similarities and rows (Q, count) that the index proposes."""
    queries = np.ascontiguousarray(queries, np.float32)
    if exact:
        return index.search(queries, count)
    # FAISS compares many queries by a product of matrices and few one by one; which lists are visited must not
    # depend on the number of queries.
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = NEVER
    try:
        return index.search(queries, count)
    finally:
        faiss.cvar.distance_compute_blas_threshold = before


def _best(vectors: np.ndarray, queries: np.ndarray, found: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best k of the rows found (Q, K) for each query; a row of -1 is none."""
    values = np.empty(found.shape)
    for place, (query, rows) in enumerate(zip(queries.astype(np.float64), found, strict=True)):
        values[place] = np.einsum("nd,d->n", vectors[rows].astype(np.float64), query)
    values = np.where(found < 0, -np.inf, np.rint(values / STEP) * STEP)
    order = np.lexsort((found, -values), axis=1)[:, :k]
    return np.take_along_axis(found, order, 1), np.take_along_axis(values, order, 1)


@contextmanager
def _one_thread() -> Iterator[None]:
    with one_thread(), threadpool_limits(1, user_api="blas"):
        yield


def top_k(retrieval: Retrieval, k: int) -> np.ndarray:
    """Return (Q, min(k, G)) int64: the rows of the gallery that each query ranks first, best first.

    Of equally similar rows the first one is first. The query's own row and group are not left out.
    """
    if retrieval.matrix is None and retrieval.similarity is None:
        queries, gallery = (unit(vectors).astype(np.float32) for vectors in (retrieval.queries, retrieval.gallery))
        return search(build_index(gallery, {"name": "flat"}), gallery, queries, k)[0]
    best = [np.argsort(-steps, axis=1, kind="stable")[:, :k] for _, steps in ranked_blocks(retrieval)]
    return np.concatenate(best).astype(np.int64)
