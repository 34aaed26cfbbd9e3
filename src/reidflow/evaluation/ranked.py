"""The best candidates of each query, image by image: what a retrieval answers."""

import numpy as np
import polars as pl

from reidflow.evaluation.asked import Retrieval, ranked_blocks
from reidflow.evaluation.ranking import STEPS
from reidflow.store.tables import Contract

BEST = 10
RANKED = Contract(
    "best candidates of queries",
    {
        "arm": pl.String,
        "seed": pl.Int64,
        "query": pl.String,
        "query_identity": pl.String,
        "rank": pl.Int64,  # from 1
        "image": pl.String,
        "identity": pl.String,
        "similarity": pl.Float64,  # null for embeddings that are not finite
        "right": pl.Boolean,
    },
    nullable=frozenset({"similarity"}),
)


def best(asked: Retrieval, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices, similarities), both (Q, k): the k best candidates of each query, the best first.

    The query itself and its own group are no candidates. Similarities are those that the metric ranks by, rounded to
    multiples of 2^-23 (see `ranking.similarity_blocks`); ties are broken by the order of the gallery. Where a query has
    fewer candidates, the rest is -1, with the similarity NaN. Candidates whose similarity is not a number rank last, with
    minus infinity. Memory does not grow with Q x G.
    """
    indices = np.full((len(asked.queries), k), -1)
    similarities = np.full((len(asked.queries), k), np.nan)
    masks = asked.masks()
    for rows, steps in ranked_blocks(asked):
        excluded = masks.excluded(rows)
        for place, values in enumerate(steps):
            open_ = np.arange(len(values)) if excluded is None else np.flatnonzero(~excluded[place])
            found = open_[_largest(values[open_], k)]
            indices[rows.start + place, : len(found)] = found
            similarities[rows.start + place, : len(found)] = values[found] / STEPS
    return indices, similarities


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Return the places of the k largest values, the largest first, equal ones in their order."""
    keys = -values
    if k >= len(keys):
        return np.argsort(keys, kind="stable")
    # All that tie with the last one to be returned stay in, so that their order decides.
    inside = np.flatnonzero(keys <= np.partition(keys, k - 1)[k - 1])
    return inside[np.argsort(keys[inside], kind="stable")[:k]]


def ranked_table(
    asked: Retrieval, queries: pl.DataFrame, gallery: pl.DataFrame, arm: str, seed: int, k: int = BEST
) -> pl.DataFrame:
    """Return RANKED of one run, queries in their order, ranks from 1.

    queries, gallery: `image` and `identity` of the rows of the retrieval's two sides.
    """
    indices, similarities = best(asked, k)
    row, rank = np.nonzero(indices >= 0)
    values = similarities[row, rank]
    query, found = queries[row], gallery[indices[row, rank]]
    return pl.DataFrame(
        {
            "arm": pl.repeat(arm, len(row), eager=True, dtype=pl.String),
            "seed": pl.repeat(seed, len(row), eager=True, dtype=pl.Int64),
            "query": query["image"],
            "query_identity": query["identity"],
            "rank": rank + 1,
            "image": found["image"],
            "identity": found["identity"],
            "similarity": pl.Series(np.where(np.isfinite(values), values, np.nan)).fill_nan(None),
            "right": (query["identity"] == found["identity"]).fill_null(False),
        },
        schema=RANKED.columns,
    )
