"""How well embeddings retrieve identities that nothing was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from reidflow.evaluation.ranking import Similarity
from reidflow.evaluation.retrieval import TOP, evaluate, face_score
from reidflow.retrieval.entries import HeldOut


@dataclass(frozen=True)
class Judged:
    """What held-out queries found: metrics by name, and per scored query its score (0 to 1000) and identity code."""

    metrics: dict[str, float]
    scores: np.ndarray
    identity: np.ndarray

    @property
    def score(self) -> float:
        """The competition's score: 600 top-1 + 300 top-5 + 100 top-10, the mean over queries."""
        return float(self.scores.mean())

    @property
    def standard_error(self) -> float | None:
        """Of the score, queries of one identity counting as one observation."""
        return clustered_error(self.scores, self.identity)


def judge(
    queries: np.ndarray,
    gallery: np.ndarray,
    identity: np.ndarray,
    group: np.ndarray,
    held: HeldOut,
    similarity: Similarity | None = None,
) -> Judged:
    """Return what the held-out queries find with these vectors (Q, D) in these (G, D).

    identity, group: codes of all training images, of which `held` names the rows. Images of a query's own group are no
    candidates; a query without any other image to find is not scored.
    """
    metrics, table = evaluate(
        queries,
        gallery,
        identity[held.queries],
        identity[held.gallery],
        query_group=group[held.queries],
        gallery_group=group[held.gallery],
        similarity=similarity,
    )
    first = table["first_hit"]
    hits = {f"top{k}": (first <= k).fill_null(False).to_numpy().astype(np.float64) for k in TOP}
    scored = table.select(pl.col("ap").is_not_null())["ap"].to_numpy()
    chosen = {name: metrics[name] for name in (*hits, "map", "queries", "identities")}
    return Judged(chosen, face_score(hits)[scored], identity[held.queries][scored])


def clustered_error(values: np.ndarray, clusters: np.ndarray) -> float | None:
    """Return the standard error of the mean of `values` (N,) whose clusters (N,), not rows, are independent.

    The usual cluster-robust variance of a mean with the correction C / (C - 1) (Liang and Zeger 1986); None with one
    cluster.
    """
    _, codes = np.unique(clusters, return_inverse=True)
    sums = np.bincount(codes, weights=values - values.mean())
    count = len(sums)
    if count < 2:
        return None
    return float(np.sqrt(np.square(sums).sum() * count / (count - 1)) / len(values))


def best(judged: Sequence[Judged], flops: Sequence[int]) -> int:
    """Return the place of the highest score; of equal ones, the network with fewer operations, then the earlier one.

    Operations stand for the latency, which would not come out the same twice. Scores that agree to 1e-6 are equal.
    """
    return min(range(len(judged)), key=lambda place: (-round(judged[place].score, 6), flops[place], place))
