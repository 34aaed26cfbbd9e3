"""How long it takes to answer an arm's queries, once they and the gallery are embedded."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from reidflow.evaluation.layout import Layout
from reidflow.evaluation.retrieval_queries import BEST, best_candidates
from reidflow.evaluation.runs import TrainedRun, combined_retrieval, member_retrievals, reranking
from reidflow.store.tables import Contract

TIMES, LONG = 3, 2.0
ANSWERS = Contract(
    "time to answer queries",
    {
        "experiment": pl.String,
        "arm": pl.String,
        "seed": pl.Int64,
        "queries": pl.Int64,
        "gallery": pl.Int64,
        "dimensions": pl.Int64,  # of an embedding that is ranked
        "seconds_inference": pl.Float64,  # of all queries together, members of an ensemble joined; median of TIMES
        "seconds_ranking": pl.Float64,  # of finding the ten best of each query
        "ms_per_query": pl.Float64,  # both, over the queries
    },
    nullable=frozenset({"ms_per_query"}),
)


def answer_times(
    experiment: str, runs: Sequence[TrainedRun], layout: Layout, mirrored: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return ANSWERS of the first run of each arm, in their order: measured on this machine.

    Reading and embedding are left out, and so are scores of local features, which are stored once they are known.
    mirrored: MIRRORED of the runs, where an inference uses mirrored images.
    """
    first = {run.arm: run for run in reversed(runs)}
    rows = [
        {"experiment": experiment, "arm": arm, "seed": first[arm].seed, **_measure(first[arm], layout, mirrored)}
        for arm in dict.fromkeys(run.arm for run in runs)
    ]
    return pl.DataFrame(rows, schema=ANSWERS.columns)


def _measure(run: TrainedRun, layout: Layout, mirrored: pl.DataFrame | None) -> dict[str, Any]:
    own, seen = member_retrievals(layout, run, mirrored)
    rerank = reranking(layout, run, mirrored)
    retrieval, inference = _median(lambda: combined_retrieval(run, own, seen, rerank))
    _, ranking = _median(lambda: best_candidates(retrieval, BEST))
    queries = len(retrieval.queries)
    return {
        "queries": queries,
        "gallery": len(retrieval.gallery),
        "dimensions": retrieval.queries.shape[1],
        "seconds_inference": inference,
        "seconds_ranking": ranking,
        "ms_per_query": 1000 * (inference + ranking) / queries if queries else None,
    }


def _median(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what the work returns, and the median of the seconds that it takes.

    The first time does not count, unless it takes so long that what it warms up cannot matter.
    """
    found, first = _timed(work)
    return found, first if first > LONG else statistics.median(_timed(work)[1] for _ in range(TIMES))


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start
