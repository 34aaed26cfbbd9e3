"""Queries and the gallery that they are ranked in, and what is done to them before the ranking."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.average_precision import Masks
from reidflow.evaluation.ranking import STEPS, Similarity, similarity_blocks, unit
from reidflow.spec import components
from reidflow.spec.errors import ReidflowError
from reidflow.splits.candidates import differing
from reidflow.store.tables import Contract


@dataclass(frozen=True)
class Retrieval:
    """Queries and the gallery that they are ranked in.

    Attributes:
        queries: (Q, D) float32.
        gallery: (G, D) float32.
        query_index: (Q,) position of each query in the gallery, -1 if nowhere; None if none does. It is never its own
            candidate.
        query_group: (Q,) integer codes; candidates of the query's own group are left out. None leaves none out.
        gallery_group: (G,) integer codes, given with `query_group`.
        similarity: maps (q, D), (G, D) to (q, G), in float64; None is the cosine.
        matrix: (Q, G) float32 similarities that replace those of the vectors; None if the vectors are ranked.
        query_ignored: (Q, K) integer codes of K facets, each of an identity and, say, a camera; candidates that share
            one of them with the query are left out. None leaves none out.
        gallery_ignored: (G, K) integer codes, given with `query_ignored`.
        query_shared: (Q, K) integer codes of what candidates must have in common with the query, such as the flank;
            below 0 where it is unknown, which may be any. None leaves none out.
        gallery_shared: (G, K) integer codes, given with `query_shared`.
        query_absent: (Q,) integer codes of the identity that the gallery is taken not to hold for the query: those
            images are left out as if they were not there, whatever else they decide. None leaves none out.
        gallery_absent: (G,) integer codes, given with `query_absent`.
        query_flank: (Q,) integer codes of flanks, below 0 where unknown; they leave none out. None where nothing is
            known.
        gallery_flank: (G,) integer codes, given with `query_flank`.
        among: (N + Q, N) float32 similarities of `everyone`, where a matrix replaces those of the vectors in it as
            well; else None.
    """

    queries: np.ndarray
    gallery: np.ndarray
    query_index: np.ndarray | None = None
    query_group: np.ndarray | None = None
    gallery_group: np.ndarray | None = None
    similarity: Similarity | None = None
    matrix: np.ndarray | None = None
    query_ignored: np.ndarray | None = None
    gallery_ignored: np.ndarray | None = None
    query_shared: np.ndarray | None = None
    gallery_shared: np.ndarray | None = None
    query_flank: np.ndarray | None = None
    gallery_flank: np.ndarray | None = None
    among: np.ndarray | None = None
    query_absent: np.ndarray | None = None
    gallery_absent: np.ndarray | None = None

    def own_images(self) -> np.ndarray:
        """Return (Q,): which of all distinct images each query is: the gallery, then the queries that are not in it."""
        own = np.full(len(self.queries), -1) if self.query_index is None else np.array(self.query_index)
        outside = np.flatnonzero(own < 0)
        own[outside] = len(self.gallery) + np.arange(len(outside))
        return own

    def everyone(self) -> "Retrieval":
        """Return all distinct images, then the queries as they are, (N + Q), in all distinct images, (N).

        The images are the gallery, then the queries that are not in it.
        """
        own = self.own_images()
        outside = own >= len(self.gallery)
        images = np.concatenate([self.gallery, self.queries[outside]])
        index = np.concatenate([np.arange(len(images)), own])

        def codes(of_queries: np.ndarray | None, of_gallery: np.ndarray | None) -> tuple[Any, Any]:
            if of_queries is None or of_gallery is None:
                return None, None
            found = np.concatenate([of_gallery, of_queries[outside]])
            return found[index], found

        groups = codes(self.query_group, self.gallery_group)
        ignored = codes(self.query_ignored, self.gallery_ignored)
        shared = codes(self.query_shared, self.gallery_shared)
        moved = np.concatenate([images, self.queries])
        return Retrieval(moved, images, index, *groups, self.similarity, None, *ignored, *shared)

    def masks(self, query_identity: np.ndarray | None = None, gallery_identity: np.ndarray | None = None) -> Masks:
        """Return which candidates are positives and which are none; without identities all are of one."""
        if query_identity is None or gallery_identity is None:
            query_identity, gallery_identity = np.zeros(len(self.queries), int), np.zeros(len(self.gallery), int)
        own = query_identity, gallery_identity, self.query_index, self.query_group, self.gallery_group
        facets = _columns(self.query_ignored, self.gallery_ignored)
        if self.query_absent is not None and self.gallery_absent is not None:
            facets.append((self.query_absent, self.gallery_absent))
        shared = _columns(self.query_shared, self.gallery_shared)
        return FilteredMasks(*own, facets=facets, shared=shared) if facets or shared else Masks(*own)


def _columns(query: np.ndarray | None, gallery: np.ndarray | None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the columns (Q,) and (G,) of codes (Q, K) and (G, K)."""
    return [] if query is None or gallery is None else list(zip(query.T, gallery.T, strict=True))


class FilteredMasks(Masks):
    """Masks that also leave out candidates which share a facet with the query, or have another flank.

    facets: (Q,) and (G,) integer codes of each, such as the same identity by the same camera. shared: those of what
    must be the same where both are known (0 or more).
    """

    def __init__(
        self,
        *own: np.ndarray | None,
        facets: list[tuple[np.ndarray, np.ndarray]],
        shared: list[tuple[np.ndarray, np.ndarray]],
    ) -> None:
        super().__init__(*own)
        self.facets, self.shared = facets, shared

    def excluded(self, rows: slice, groups: bool = True) -> np.ndarray | None:
        """Return (q, G): the query itself, what shares a facet with it, what is of another flank and, if `groups`,
        its own group.
        """
        mask = super().excluded(rows, groups)
        found = [query[rows, None] == gallery for query, gallery in self.facets]
        found += [differing(query[rows, None], gallery) for query, gallery in self.shared]
        for each in found:
            mask = each if mask is None else mask | each
        return mask


def infer(retrieval: Retrieval, steps: list[dict[str, Any]], flipped: Retrieval | None = None) -> Retrieval:
    """Return `retrieval` after inference components, in their order.

    steps: resolved components of the kind `inference`. flipped: the same images seen in a mirror, for the component
    that needs them. Raises ReidflowError where a step cannot be done.
    """
    for place, step in enumerate(steps):
        if "flipped" not in components.context("inference", step["name"]):
            retrieval = components.call("inference", step, retrieval)
            continue
        if place > 0:
            raise ReidflowError(f"inference: '{step['name']}' needs the images themselves. Put it first.")
        if flipped is None:
            raise ReidflowError(
                f"inference: '{step['name']}' needs embeddings of the mirrored images. Leave it out here."
            )
        retrieval = components.call("inference", step, retrieval, flipped)
    return retrieval


def scores(retrieval: Retrieval, rows: slice) -> np.ndarray:
    """Return the (q, G) float64 similarities of a block of queries, rounded as the metric ranks them.

    Minus infinity where they are not numbers. Non-candidates have theirs too.
    """
    queries = retrieval.queries[rows] if retrieval.matrix is None else retrieval.matrix[rows]
    blocks = [steps for _, steps in _blocks(retrieval, queries, max(1, len(queries)))]
    return blocks[0] / STEPS if blocks else np.empty((0, len(retrieval.gallery)))


def ranked_blocks(retrieval: Retrieval, block: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows, steps): blocks of queries with what they are ranked by, as `ranking.similarity_blocks`."""
    return _blocks(retrieval, retrieval.queries if retrieval.matrix is None else retrieval.matrix, block)


def _blocks(retrieval: Retrieval, queries: np.ndarray, block: int | None) -> Iterator[tuple[slice, np.ndarray]]:
    if retrieval.matrix is None:
        return similarity_blocks(queries, retrieval.gallery, retrieval.similarity, block)
    return similarity_blocks(queries, retrieval.gallery, _as_they_are, block)


def _as_they_are(matrix: np.ndarray, _: np.ndarray) -> np.ndarray:
    return matrix.astype(np.float64)


BLOCK = 1024


def combine_members(members: list[Retrieval], combine: str) -> Retrieval:
    """Return what the runs of an ensemble rank by; of a single run, what it was given.

    members: the same queries and gallery as each run embeds them. combine: `concatenate` puts unit embeddings side by
    side, so that their cosine is the mean of the members' cosines; `average` takes the mean of the members'
    similarities, each in its own geometry, which needs memory for (Q, G) float32. The embeddings beside averaged
    similarities, by which clusters and distances are measured, are those of the first member.
    """
    first = members[0]
    if len(members) == 1:
        return first
    if combine == "concatenate":
        sides = ([unit(getattr(member, side)) for member in members] for side in ("queries", "gallery"))
        queries, gallery = (np.concatenate(vectors, axis=1).astype(np.float32) for vectors in sides)
        return replace(first, queries=queries, gallery=gallery)
    mean = np.empty((len(first.queries), len(first.gallery)), np.float32)
    for start in range(0, len(mean), BLOCK):
        rows = slice(start, start + BLOCK)
        mean[rows] = np.mean([scores(member, rows) for member in members], axis=0)
    return replace(first, matrix=mean)


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
        "identity": pl.String,  # null: a distractor
        "similarity": pl.Float64,  # null for embeddings that are not finite
        "right": pl.Boolean,
    },
    nullable=frozenset({"identity", "similarity"}),
)


def best_candidates(retrieval: Retrieval, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices, similarities), both (Q, k): the k best candidates of each query, the best first.

    The query itself, its own group, what is ignored for it, an identity that is taken to be absent, and other flanks,
    where they must be the same, are no candidates. Similarities are those that the metric ranks by, rounded to
    multiples of 2^-23 (see `ranking.similarity_blocks`); ties are broken by the order of the gallery. Where a query has
    fewer candidates, the rest is -1, with the similarity NaN. Candidates whose similarity is not a number rank last,
    with minus infinity. Memory does not grow with Q x G.
    """
    indices = np.full((len(retrieval.queries), k), -1)
    similarities = np.full((len(retrieval.queries), k), np.nan)
    masks = retrieval.masks()
    for rows, steps in ranked_blocks(retrieval):
        excluded = masks.excluded(rows)
        for place, values in enumerate(steps):
            open_ = np.arange(len(values)) if excluded is None else np.flatnonzero(~excluded[place])
            found = open_[_largest(values[open_], k)]
            indices[rows.start + place, : len(found)] = found
            similarities[rows.start + place, : len(found)] = values[found] / STEPS
    return indices, similarities


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Return the positions of the k largest values, the largest first, equal ones in their order."""
    keys = -values
    if k >= len(keys):
        return np.argsort(keys, kind="stable")
    # All that tie with the last one to be returned stay in, so that their order decides.
    inside = np.flatnonzero(keys <= np.partition(keys, k - 1)[k - 1])
    return inside[np.argsort(keys[inside], kind="stable")[:k]]


def ranked_table(
    retrieval: Retrieval, queries: pl.DataFrame, gallery: pl.DataFrame, arm: str, seed: int, k: int = BEST
) -> pl.DataFrame:
    """Return RANKED of one run, queries in their order, ranks from 1.

    queries, gallery: `image` and `identity` of the rows of the retrieval's two sides.
    """
    indices, similarities = best_candidates(retrieval, k)
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
