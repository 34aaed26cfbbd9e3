"""How long it takes to answer an arm's queries, once they and the gallery are embedded."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from reidflow.evaluation.arm import Layout, Made, answered, embedded
from reidflow.evaluation.ranked import BEST, best
from reidflow.store.tables import Contract

TIMES = 3
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
    experiment: str, runs: Sequence[Made], layout: Layout, mirrored: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return ANSWERS of runs, in their order: measured on this machine, reading and embedding left out."""
    rows = [
        {"experiment": experiment, "arm": run.arm, "seed": run.seed, **_measure(run, layout, mirrored)} for run in runs
    ]
    return pl.DataFrame(rows, schema=ANSWERS.columns)


def _measure(run: Made, layout: Layout, mirrored: pl.DataFrame | None) -> dict[str, Any]:
    own, seen = embedded(layout, run, mirrored)
    asked, inference = _median(lambda: answered(run, own, seen))
    _, ranking = _median(lambda: best(asked, BEST))
    queries = len(asked.queries)
    return {
        "queries": queries,
        "gallery": len(asked.gallery),
        "dimensions": asked.queries.shape[1],
        "seconds_inference": inference,
        "seconds_ranking": ranking,
        "ms_per_query": 1000 * (inference + ranking) / queries if queries else None,
    }


def _median(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what the work returns, and the median of the seconds that it takes; the first time does not count."""
    found, seconds = work(), []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return found, statistics.median(seconds)
