"""Runs on splits beside the pipeline's own, each tested on the test images of its split."""

import polars as pl

from reidflow.evaluation.arm import METRICS, Made, evaluate_runs
from reidflow.store.tables import Contract

SPLIT_RUNS = Contract(
    "metrics of runs on other splits", {"split_seed": pl.Int64, **METRICS.columns}, nullable=METRICS.nullable
)


def evaluate_on(
    split_seed: int, runs: list[Made], split: pl.DataFrame, manifest: pl.DataFrame, gallery: str
) -> pl.DataFrame:
    """Return SPLIT_RUNS of the runs of one split, in their order; arguments as of `evaluate_runs`."""
    found = evaluate_runs(runs, split, manifest, gallery)["metrics"]
    return found.select(pl.lit(split_seed, pl.Int64).alias("split_seed"), *METRICS.columns)
