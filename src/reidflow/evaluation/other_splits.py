"""Runs on splits beside the pipeline's own, each tested on the test images of its split."""

import polars as pl

from reidflow.evaluation.arm import METRICS, PER_QUERY, Made, evaluate_runs
from reidflow.store.tables import Contract

SPLIT_RUNS = Contract(
    "metrics of runs on other splits", {"split_seed": pl.Int64, **METRICS.columns}, nullable=METRICS.nullable
)
ALSO_ON = Contract(
    "metrics of runs on further splits", {"label": pl.String, **METRICS.columns}, nullable=METRICS.nullable
)
ALSO_ON_QUERIES = Contract(
    "queries of runs on further splits", {"label": pl.String, **PER_QUERY.columns}, nullable=PER_QUERY.nullable
)


def evaluate_on(
    split_seed: int, runs: list[Made], split: pl.DataFrame, manifest: pl.DataFrame, gallery: str
) -> pl.DataFrame:
    """Return SPLIT_RUNS of the runs of one split, in their order; arguments as of `evaluate_runs`."""
    found = evaluate_runs(runs, split, manifest, gallery)["metrics"]
    return found.select(pl.lit(split_seed, pl.Int64).alias("split_seed"), *METRICS.columns)


def evaluate_also(
    label: str, runs: list[Made], split: pl.DataFrame, manifest: pl.DataFrame, gallery: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return ALSO_ON and ALSO_ON_QUERIES of the runs of one further split, in their order.

    label: what the experiment calls the split; the other arguments as of `evaluate_runs`.
    """
    found = evaluate_runs(runs, split, manifest, gallery)
    named = pl.lit(label, pl.String).alias("label")
    return (
        found["metrics"].select(named, *METRICS.columns),
        found["per_query"].select(named, *PER_QUERY.columns),
    )
