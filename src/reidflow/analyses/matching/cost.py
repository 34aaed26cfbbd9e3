"""What a query costs: its own local features, the search by embeddings, and the comparisons with candidates."""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.embedding_space import spaced
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.retrieval_queries import BEST, Retrieval, best_candidates
from reidflow.evaluation.runs import TrainedRun, arm_retrieval
from reidflow.matching.bank import build_matcher, single_threaded
from reidflow.matching.scores import LocalScores
from reidflow.spec.canonical import canonical
from reidflow.spec.plan import local_bank_id
from reidflow.spec.ranking import EMBEDDING, LocalScore
from reidflow.store.tables import Column, Contract
from reidflow.tables.columns import columns

_I, _F = pl.Int64, pl.Float64
IMAGES, QUERIES = 8, 16
"""Images whose features are extracted, and queries that are compared, at most."""
COST = Contract(
    "cost of a query",
    [
        *columns("experiment", "arm", "seed"),
        Column("gallery", _I, "gallery", "count", "Images of the gallery."),
        Column("candidates", _F, "compared", "count",
               "Candidates of a query that are compared by local features; mean over queries."),
        Column("features_ms", _F, "features, ms", "number1", "Extraction of the local features of one image, by all matchers; median.", "ms"),
        Column("search_ms", _F, "search, ms", "number2",
               "Finding the ten best of the gallery by the embedding, all queries at once, over their number; median.", "ms"),
        Column("compare_ms", _F, "comparison, ms", "number1",
               "Comparing the local features of one query, one thread, without scores kept in the store; mean.", "ms"),
        Column("query_ms", _F, "a query, ms", "number1", "All three. Embedding the query is left out: it is the same for all arms.", "ms"),
    ],
)  # fmt: skip
Squares = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Side of a square -> images (n, S, S, 3) and masks (n, S, S), uint8, on which matchers are timed."""


def cost_table(
    experiment: str, runs: Sequence[TrainedRun], layout: Layout, squares: Squares, mirrored: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return COST of the first run of each arm, in their order: measured on this machine.

    Reading images and embedding are left out. What several arms share is measured once.
    """
    first = {run.arm: run for run in reversed(runs)}
    known: dict[str, float] = {}
    rows = []
    for arm in dict.fromkeys(run.arm for run in runs):
        run = first[arm]
        plain = arm_retrieval(layout, run._replace(ranking=None), mirrored)
        scores = run.ranking.scores if run.ranking else [EMBEDDING]
        search = _once(known, "search", lambda plain=plain: _search(plain)) if EMBEDDING in scores else 0.0
        features, compare = 0.0, 0.0
        for matcher in {local_bank_id(score.matcher): score.matcher for score in scores if score != EMBEDDING}.values():
            features += _once(known, canonical(matcher), lambda m=matcher, r=run: _features(m, r.local.device, squares))
        for place, score in enumerate(scores):
            if score != EMBEDDING:
                shortlist = run.ranking.shortlist if place else None
                key = canonical([score.model_dump(mode="json"), shortlist, scores[0] == EMBEDDING])
                compare += _once(known, key, lambda s=score, k=shortlist, r=run, p=plain: _compare(s, k, r, layout, p))
        local = bool(run.ranking and run.ranking.local)
        rows.append(
            {
                "experiment": experiment,
                "arm": arm,
                "seed": run.seed,
                "gallery": len(layout.gallery),
                "candidates": compared(layout, plain, run) if local else 0.0,
                "features_ms": features,
                "search_ms": search,
                "compare_ms": compare,
                "query_ms": features + search + compare,
            }
        )
    return pl.DataFrame(rows, schema=COST.columns)


def compared(layout: Layout, plain: Retrieval, run: TrainedRun) -> float:
    """Return how many candidates of a query are compared by local features; mean over queries."""
    masks, size = plain.masks(), len(layout.gallery)
    rows = (masks.excluded(slice(query, query + 1)) for query in range(len(layout.query)))
    candidates = np.array([size - (0 if excluded is None else excluded.sum()) for excluded in rows])
    shortlist = run.ranking.shortlist if run.ranking.scores[0] == EMBEDDING else None
    return float(candidates.clip(max=shortlist).mean()) if len(candidates) else 0.0


def _once(known: dict[str, float], key: str, measure: Callable[[], float]) -> float:
    if key not in known:
        known[key] = measure()
    return known[key]


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _search(retrieval: Retrieval) -> float:
    """Return milliseconds for a query; the first search does not count."""
    found = [_seconds(lambda: best_candidates(retrieval, BEST)) for _ in range(4)]
    return 1000 * statistics.median(found[1:]) / max(1, len(retrieval.queries))


def _features(matcher: Mapping[str, Any], device: str, squares: Squares) -> float:
    """Return milliseconds for an image; the first one does not count where there are more."""
    images, masks = squares(matcher["size"])
    with single_threaded(device):
        extract = build_matcher(dict(matcher), device)
        found = [_seconds(lambda i=i: extract(images[i : i + 1], masks[i : i + 1])) for i in range(len(images))]
    return 1000 * statistics.median(found[1:] or found or [0.0])


def _compare(score: LocalScore, shortlist: int | None, run: TrainedRun, layout: Layout, plain: Retrieval) -> float:
    """Return milliseconds for a query; preparing the gallery does not count."""
    shown = spaced(len(layout.query), QUERIES + 1)
    queries, gallery = layout.manifest_rows[layout.query[shown]], layout.manifest_rows[layout.gallery]
    masks = plain.masks()
    apart = [masks.excluded(slice(row, row + 1)) for row in shown.tolist()]
    excluded = None if any(row is None for row in apart) else np.concatenate(apart)
    listed = None if shortlist is None else best_candidates(plain, shortlist)[0][shown]
    with tempfile.TemporaryDirectory() as folder:
        local = LocalScores(run.local.folders, Path(folder), device=run.local.device)

        def some(rows: slice) -> None:
            local.scores(
                score,
                queries[rows],
                gallery,
                groups=plain.gallery_group,
                excluded=None if excluded is None else lambda part: excluded[rows][part],
                shortlist=None if listed is None else listed[rows],
            )

        # The first query takes along what is done once for the gallery; the others are all new.
        one, all_but_one = _seconds(lambda: some(slice(0, 1))), len(shown) - 1
        if not all_but_one:
            return 1000 * one
        return 1000 * _seconds(lambda: some(slice(1, None))) / all_but_one
