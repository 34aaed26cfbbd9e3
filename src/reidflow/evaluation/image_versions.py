"""Trained runs tested on other versions of the evaluated images, by the rules of the headline metric."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.layout import Layout
from reidflow.evaluation.metrics import chance_level
from reidflow.evaluation.ranking import Similarity
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import Contract

BOTH, QUERY = "both", "query"
TESTED_ON = Contract(
    "tests on other versions of the images",
    {
        "arm": pl.String,
        "seed": pl.Int64,
        "tested_on": pl.String,  # label of the version
        "mode": pl.String,  # both: queries and gallery in that version; query: queries alone, the gallery original
        "identity": pl.String,
        "ap": pl.Float64,  # mean over the identity's queries
        "ap_chance": pl.Float64,  # expected for a random ranking
    },
)
BLOCK = 1024


def original_label(tests: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the label of the unchanged images among tests (label -> {"background": component, "scale": of the side}).

    Raises ReidflowError unless there is exactly one.
    """
    found = [
        label
        for label, test in tests.items()
        if test["background"]["name"] == "original" and test.get("scale", 1.0) == 1.0
    ]
    if len(found) != 1:
        raise ReidflowError(
            f"tests: {len(found)} of them are the images as they are (background 'original', scale 1), and the other "
            "versions are compared with exactly one. Correct the experiment's tests."
        )
    return found[0]


def resized_labels(tests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the labels of the tests at another size, which change queries and gallery alike."""
    return [label for label, test in tests.items() if test.get("scale", 1.0) != 1.0]


def evaluate_versions(
    vectors: Mapping[str, np.ndarray],
    original: str,
    layout: Layout,
    arm: str,
    seed: int,
    similarity: Similarity | None = None,
    resized: Collection[str] = (),
) -> pl.DataFrame:
    """Return the TESTED_ON table of a run: each identity's mean average precision on each version of the images.

    Identities without a query that has a positive are left out. Of the version `original` there is the mode `both`
    alone, since its queries already have an original gallery.

    Args:
        vectors: label of the version -> (n, D) embeddings of the rows `layout.evaluated`, in their order.
        original: the label of the unchanged images.
        layout: queries and gallery; the same for every version.
        arm: of the run.
        seed: of the run.
        similarity: of the run's geometry.
        resized: labels of the versions at another size; they have the mode `both` alone.
    """
    queries = np.searchsorted(layout.evaluated, layout.query)
    ranked = np.searchsorted(layout.evaluated, layout.gallery)
    chance = _chance(layout)
    parts = []
    for label, version in vectors.items():
        for mode, gallery in ((BOTH, version), (QUERY, vectors[original])):
            if mode == QUERY and (label == original or label in resized):
                continue
            ap = layout.average_precisions(version[queries], gallery[ranked], similarity)
            parts.append(_by_identity(layout, ap, chance).with_columns(tested_on=pl.lit(label), mode=pl.lit(mode)))
    found = pl.concat(parts).with_columns(arm=pl.lit(arm, pl.String), seed=pl.lit(seed, pl.Int64))
    return found.select(list(TESTED_ON.columns))


def _chance(layout: Layout) -> np.ndarray:
    """Return the (Q,) average precision that a random ranking is expected to have, NaN without a positive."""
    masks = layout.masks()
    positives, candidates = np.zeros((2, len(layout.query)), np.int64)
    for start in range(0, len(layout.query), BLOCK):
        rows = slice(start, start + BLOCK)
        candidate = ~masks.excluded(rows)
        positives[rows] = (masks.positive(rows) & candidate).sum(axis=1)
        candidates[rows] = candidate.sum(axis=1)
    return chance_level(positives, candidates)


def _by_identity(layout: Layout, ap: np.ndarray, chance: np.ndarray) -> pl.DataFrame:
    """Return the means over the scored queries of each identity, identities in the order of their names."""
    scored = ~np.isnan(ap)
    _, codes = np.unique(layout.identity[layout.query][scored], return_inverse=True)
    counts = np.bincount(codes)
    names = layout.table["identity"].gather(layout.query[scored])
    first = np.unique(codes, return_index=True)[1]
    return pl.DataFrame(
        {
            "identity": names.gather(first),
            "ap": np.bincount(codes, weights=ap[scored]) / counts,
            "ap_chance": np.bincount(codes, weights=chance[scored]) / counts,
        }
    )
