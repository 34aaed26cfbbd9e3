"""Queries, their best candidates and the places of images on a map, as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.embedding_space import distances, neighbour_map
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.ranked_runs import scored_queries
from reidflow.evaluation.runs import TrainedRun


def described(
    layout: Layout,
    runs: Sequence[TrainedRun],
    geometries: Mapping[str, str],
    ranked: pl.DataFrame,
    per_query: pl.DataFrame,
    images: pl.DataFrame,
    queries: Sequence[str],
) -> dict[str, Any]:
    """Return what can be browsed; images and identities are named by their position in the lists of them.

    geometries: arm -> the geometry of its runs. ranked, per_query: RANKED and PER_QUERY of the runs. images, queries: as
    `browsed` returns them.

    identities: names. images: [image, identity or -1]. of: number of queries of the split. arms: for each run `arm`,
    `seed`; `points`: [x, y] of each image, null where its embedding is not finite; `queries`: [image, average precision
    or null where the gallery has no match, [[candidate, similarity or null], ...]].
    """
    identities = sorted(set(images["identity"].drop_nulls()))
    code = {name: number for number, name in enumerate(identities)}
    place = {image: number for number, image in enumerate(images["image"])}
    return {
        "identities": identities,
        "images": [[image, code.get(identity, -1)] for image, identity in images.iter_rows()],
        "of": len(layout.query),
        "arms": [
            {
                "arm": run.arm,
                "seed": run.seed,
                "points": _points(layout, run, geometries[run.arm], images),
                "queries": _queries(run, ranked, per_query, place, queries),
            }
            for run in runs
        ],
    }


def _queries(
    run: TrainedRun, ranked: pl.DataFrame, per_query: pl.DataFrame, place: Mapping[str, int], queries: Sequence[str]
) -> list[list]:
    scored = dict(scored_queries(per_query, run.arm, run.seed).select("image", "ap").iter_rows())
    own = ranked.filter((pl.col("arm") == run.arm) & (pl.col("seed") == run.seed)).sort("query", "rank")
    best: dict[str, list] = {query: [] for query in queries}
    for query, image, similarity in own.select("query", "image", "similarity").iter_rows():
        if query in best:
            best[query].append([place[image], _rounded(similarity)])
    return [[place[query], _rounded(scored.get(query)), found] for query, found in best.items()]


def _points(layout: Layout, run: TrainedRun, geometry: str, images: pl.DataFrame) -> list[list[float] | None]:
    """Return the place of each image on the map of a run's embeddings, before any inference; of an ensemble's first run."""
    row_of = {image: row for row, image in enumerate(layout.table["image"])}
    vectors = layout.vectors(run.folder, "final")[[row_of[image] for image in images["image"]]]
    finite = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    found: list[list[float] | None] = [None] * len(vectors)
    for row, point in zip(finite, neighbour_map(distances(geometry, vectors[finite])), strict=True):
        found[row] = [_rounded(value) for value in point.tolist()]
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
