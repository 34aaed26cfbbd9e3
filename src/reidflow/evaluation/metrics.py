"""All test metrics of one run: what a query finds in its gallery. Definitions: docs/metric.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from reidflow.evaluation.average_precision import (
    Masks,
    expected_average_precision,
    expected_precision_sum,
    identity_balanced,
)
from reidflow.evaluation.ranking import STEPS, Similarity, TieGroups, tie_groups, unit
from reidflow.evaluation.retrieval_queries import Retrieval, ranked_blocks
from reidflow.spec.seeds import seed_for

TOP = (1, 5, 10)


def evaluate(
    query_vectors: np.ndarray,
    gallery_vectors: np.ndarray,
    query_identity: np.ndarray,
    gallery_identity: np.ndarray,
    *,
    query_index: np.ndarray | None = None,
    query_group: np.ndarray | None = None,
    gallery_group: np.ndarray | None = None,
    similarity: Similarity | None = None,
    seed: int = 0,
    block: int | None = None,
) -> tuple[dict[str, float | int], pl.DataFrame]:
    """Return the metrics of a run, and a table with a row for each query.

    Arguments as in `average_precision.average_precisions`; the gallery holds exactly the rows that the gallery rule
    admits. Codes below 0 are distractors', which form no cluster. `seed` is that of the k-means behind the NMI. Memory does not grow with Q x G.

    Metrics: `id_map` (own group left out), `id_map_unfiltered`, `chance` (expected `id_map` of a random ranking), `map`
    (mean over queries), `top1`, `top5`, `top10`, `map_at_r`, `nmi`, `intra`, `inter` (mean distance to positives, to
    negatives), `queries` (scored), `skipped` (without a positive), `identities` (scored). A value that does not exist
    is NaN.

    Table: `ap`, `ap_unfiltered` (null without a positive), `first_hit` (rank of the first positive; where it is tied,
    its rank behind the tied negatives).
    """
    retrieval = Retrieval(query_vectors, gallery_vectors, query_index, query_group, gallery_group, similarity)
    return evaluate_retrieval(retrieval, query_identity, gallery_identity, seed=seed, block=block)


def evaluate_retrieval(
    retrieval: Retrieval,
    query_identity: np.ndarray,
    gallery_identity: np.ndarray,
    *,
    seed: int = 0,
    block: int | None = None,
) -> tuple[dict[str, float | int], pl.DataFrame]:
    """Return the metrics and the table of `evaluate` for a retrieval.

    Where it has a matrix, that decides the ranking; `nmi`, `intra` and `inter` come from the vectors all the same.
    """
    found = scored_queries(retrieval, query_identity, gallery_identity, seed=seed, block=block)
    return pooled_metrics([found]), found.per_query()


def average_precisions(
    retrieval: Retrieval, query_identity: np.ndarray, gallery_identity: np.ndarray, block: int | None = None
) -> np.ndarray:
    """Return the (Q,) average precision of each query of a retrieval, NaN where it has no positive.

    As `average_precision.average_precisions`, with all filters of the retrieval.
    """
    masks = retrieval.masks(query_identity, gallery_identity)
    values = np.empty(len(retrieval.queries))
    for rows, steps in ranked_blocks(retrieval, block):
        values[rows] = expected_average_precision(tie_groups(steps, masks.positive(rows), masks.excluded(rows)))
    return values


@dataclass(frozen=True)
class ScoredQueries:
    """What the queries of a retrieval find.

    columns: name -> (Q,); identity: (Q,), names or codes; origin: the similarity at distance 0; nmi: of the embeddings.
    """

    columns: dict[str, np.ndarray]
    identity: np.ndarray
    origin: float
    nmi: float

    def per_query(self) -> pl.DataFrame:
        """Return the table of `evaluate`."""
        return _per_query(self.columns)


def pooled_metrics(parts: Sequence[ScoredQueries]) -> dict[str, float | int]:
    """Return the metrics of `evaluate` over the queries of several retrievals, each ranked in its own gallery.

    An identity's queries in all of them count alike. The NMI is the mean of theirs.
    """
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    metrics = _metrics(columns, np.concatenate([part.identity for part in parts]), parts[0].origin)
    return {**metrics, "nmi": float(np.mean([part.nmi for part in parts]))}


def scored_queries(
    retrieval: Retrieval,
    query_identity: np.ndarray,
    gallery_identity: np.ndarray,
    *,
    seed: int = 0,
    block: int | None = None,
) -> ScoredQueries:
    """Return what the queries of a retrieval find; arguments as of `evaluate_retrieval`."""
    masks = retrieval.masks(query_identity, gallery_identity)
    parts = [_block(steps, masks, rows, apart) for rows, steps, apart in _ranked_and_apart(retrieval, block)]
    if not parts:
        raise ValueError("there is no query to evaluate")
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    vectors, identity = _to_cluster(
        retrieval.queries, retrieval.gallery, query_identity, gallery_identity, retrieval.query_index
    )
    if retrieval.similarity is not None:
        vectors = _tangent(vectors, retrieval.similarity)
    plain = retrieval.similarity is None
    nmi = cluster_agreement(vectors, identity, seed, normalise=plain)
    return ScoredQueries(columns, np.asarray(query_identity), 1.0 if plain else 0.0, nmi)


def _ranked_and_apart(retrieval: Retrieval, block: int | None) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield blocks of queries with what they are ranked by and with the similarities of their vectors."""
    if retrieval.matrix is None:
        yield from ((rows, steps, steps) for rows, steps in ranked_blocks(retrieval, block))
        return
    vectors = ranked_blocks(replace(retrieval, matrix=None), block)
    for (rows, steps), (_, apart) in zip(ranked_blocks(retrieval, block), vectors, strict=True):
        yield rows, steps, apart


def face_score(metrics: Mapping[str, float]) -> float:
    """Return 600 top-1 + 300 top-5 + 100 top-10, between 0 and 1000."""
    return 600 * metrics["top1"] + 300 * metrics["top5"] + 100 * metrics["top10"]


def chance_level(positives: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Return the expected average precision of a random order, given (Q,) positives and (Q,) candidates.

    With R positives among C candidates: s + (1 - s) H(C) / C, where s = (R - 1) / (C - 1) and H is the harmonic
    number. NaN without a positive.
    """
    sizes, where = np.unique(candidates, return_inverse=True)
    harmonic = np.array([(1.0 / np.arange(1, size + 1)).sum() for size in sizes])[where]
    share = (positives - 1) / np.maximum(candidates - 1, 1)
    return np.where(positives > 0, share + (1 - share) * harmonic / np.maximum(candidates, 1), np.nan)


def top_k(groups: TieGroups, k: int) -> np.ndarray:
    """Return the (q,) probability that a positive is among the first k when ties are broken at random.

    NaN for a query without a positive.
    """
    first = groups.hits_above == 0
    above, tied, hits = groups.above[first], groups.tied[first], groups.hits[first]
    places = np.clip(k - above, 0, tied)
    miss = np.ones(len(above))
    for place in range(k):
        left = np.maximum(tied - hits - place, 0) / np.maximum(tied - place, 1)
        miss = np.where(place < places, miss * left, miss)
    return _spread(groups, groups.query[first], 1.0 - miss)


def average_precision_at_r(groups: TieGroups) -> np.ndarray:
    """Return (q,): the precisions at the positives within the first R candidates, summed and divided by R.

    R is the number of positives; expected over the orders of tied candidates (Musgrave et al. 2020, MAP@R). NaN without
    a positive.
    """
    depth = groups.positives[groups.query] - groups.above
    sums = np.bincount(groups.query, weights=expected_precision_sum(groups, depth), minlength=len(groups.positives))
    return np.where(groups.positives > 0, sums / np.maximum(groups.positives, 1), np.nan)


def first_hit(groups: TieGroups) -> np.ndarray:
    """Return the (q,) rank of the first positive, behind the negatives it is tied with; NaN without a positive."""
    first = groups.hits_above == 0
    rank = groups.above[first] + groups.tied[first] - groups.hits[first] + 1
    return _spread(groups, groups.query[first], rank)


def _spread(groups: TieGroups, query: np.ndarray, values: np.ndarray) -> np.ndarray:
    column = np.full(len(groups.positives), np.nan)
    column[query] = values
    return column


def _block(steps: np.ndarray, masks: Masks, rows: slice, apart: np.ndarray) -> dict[str, np.ndarray]:
    same = masks.positive(rows)
    excluded = masks.excluded(rows)
    candidate = np.ones_like(same) if excluded is None else ~excluded
    groups = tie_groups(steps, same, excluded)
    unfiltered = groups if masks.groups is None else tie_groups(steps, same, masks.excluded(rows, groups=False))
    return {
        "ap": expected_average_precision(groups),
        "ap_unfiltered": expected_average_precision(unfiltered),
        "first_hit": first_hit(groups),
        "map_at_r": average_precision_at_r(groups),
        **{f"top{k}": top_k(groups, k) for k in TOP},
        "positives": groups.positives,
        "candidates": candidate.sum(axis=1),
        "near": np.where(candidate & same, apart, 0).sum(axis=1, dtype=np.float64),
        "far": np.where(candidate & ~same, apart, 0).sum(axis=1, dtype=np.float64),
    }


def _metrics(columns: dict[str, np.ndarray], identity: np.ndarray, origin: float) -> dict[str, float | int]:
    scored = columns["positives"] > 0
    chance = chance_level(columns["positives"], columns["candidates"])
    negatives = columns["candidates"] - columns["positives"]
    return {
        "id_map": identity_balanced(columns["ap"], identity),
        "id_map_unfiltered": identity_balanced(columns["ap_unfiltered"], identity),
        "chance": identity_balanced(chance, identity),
        "map": _mean(columns["ap"][scored]),
        **{f"top{k}": _mean(columns[f"top{k}"][scored]) for k in TOP},
        "map_at_r": _mean(columns["map_at_r"][scored]),
        "intra": _distance(columns["near"], columns["positives"], origin),
        "inter": _distance(columns["far"], negatives, origin),
        "queries": int(scored.sum()),
        "skipped": int((~scored).sum()),
        "identities": len(np.unique(identity[scored])),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _distance(steps: np.ndarray, pairs: np.ndarray, origin: float) -> float:
    """Return the mean distance over all pairs: 1 - cosine, or the negative of another geometry's similarity."""
    total = float(steps.sum()) / float(STEPS)
    return origin - total / int(pairs.sum()) if pairs.sum() and np.isfinite(total) else float("nan")


def _to_cluster(
    query_vectors: np.ndarray,
    gallery_vectors: np.ndarray,
    query_identity: np.ndarray,
    gallery_identity: np.ndarray,
    query_index: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the queries, joined by the gallery where the two are separate sides, without distractors."""
    if query_index is not None and (np.asarray(query_index) >= 0).any():
        return np.asarray(query_vectors), np.asarray(query_identity)
    known = np.asarray(gallery_identity) >= 0
    gallery_vectors, gallery_identity = np.asarray(gallery_vectors)[known], np.asarray(gallery_identity)[known]
    return np.concatenate([query_vectors, gallery_vectors]), np.concatenate([query_identity, gallery_identity])


def _tangent(vectors: np.ndarray, similarity: Similarity) -> np.ndarray:
    """Return points (N, D) in the tangent space at the origin: their directions, as long as they lie far from it.

    There means are means; those of a ball's coordinates are not.
    """
    lengths = -similarity(np.zeros((1, vectors.shape[1])), vectors)[0]
    return unit(vectors) * lengths[:, None]


def _per_query(columns: dict[str, np.ndarray]) -> pl.DataFrame:
    frame = pl.DataFrame({name: columns[name] for name in ("ap", "ap_unfiltered", "first_hit")}).fill_nan(None)
    return frame.with_columns(pl.col("first_hit").cast(pl.Int64))


RESTARTS = 4
ROUNDS = 100
CLUSTERED = 10_000
"""Vectors among which k-means looks for clusters, at most: its time grows with their number times that of identities."""


def cluster_agreement(vectors: np.ndarray, identity: np.ndarray, seed: int, normalise: bool = True) -> float:
    """Return the normalised mutual information (arithmetic) between k-means clusters and identities, in [0, 1].

    As many clusters as identities; the best of 4 starts by k-means++ seeded with `seed`; on one thread, since sums over
    several have no fixed order. NaN if a vector is not finite.

    Args:
        vectors: (N, D); scaled to unit length first if `normalise`.
        identity: (N,) integer codes.
        seed: any integer.
        normalise: False for geometries other than the sphere.
    """
    # scikit-learn takes a second to import, and whatever only reads definitions from here does without.
    from sklearn.metrics import normalized_mutual_info_score

    vectors = unit(vectors) if normalise else np.asarray(vectors, dtype=np.float64)
    if not np.isfinite(vectors).all():
        return float("nan")
    if len(vectors) > CLUSTERED:
        chosen = _of_some_identities(np.asarray(identity), seed)
        vectors, identity = vectors[chosen], np.asarray(identity)[chosen]
    count = min(len(np.unique(identity)), len(np.unique(vectors, axis=0)))
    return float(normalized_mutual_info_score(identity, _clusters(vectors, count, seed)))


def _of_some_identities(identity: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows, ascending, of identities drawn at random: as many as have `CLUSTERED` images, at least two."""
    _, codes, sizes = np.unique(identity, return_inverse=True, return_counts=True)
    drawn = np.random.Generator(np.random.PCG64(seed_for(seed, "nmi"))).permutation(len(sizes))
    kept = max(2, int(np.searchsorted(sizes[drawn].cumsum(), CLUSTERED, side="right")))
    return np.flatnonzero(np.isin(codes, drawn[:kept]))


def _clusters(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return the cluster (N,) of each vector (N, D) by k-means."""
    from sklearn.cluster import KMeans

    with threadpool_limits(limits=1):
        return KMeans(count, n_init=RESTARTS, max_iter=ROUNDS, random_state=seed % 2**32).fit(vectors).labels_
