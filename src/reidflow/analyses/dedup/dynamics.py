"""How the training of an arm went, in a few numbers of its history."""

import polars as pl

DYNAMICS = ["loss_last", "gradient_norm", "active", "hardness"]
"""Loss of the last epoch; mean over the epochs of the gradient's norm, of the share of the loss's terms above 0, and of
the hardness of the mined triplets. All are means over the seeds."""


def dynamics(history: pl.DataFrame | None) -> dict[str, float | None]:
    """Return DYNAMICS of an arm's history (seed, epoch, loss, ...); None for what was not recorded or is not finite."""
    if history is None or history.is_empty():
        return dict.fromkeys(DYNAMICS)
    trained = history.filter(pl.col("epoch") > 0)
    last = trained.filter(pl.col("epoch") == pl.col("epoch").max().over("seed"))
    found = {"loss_last": _mean(last, "loss")}
    return found | {column: _mean(trained, column) for column in DYNAMICS[1:]}


def _mean(history: pl.DataFrame, column: str) -> float | None:
    """Return the mean over seeds of the mean over epochs."""
    if column not in history.columns:
        return None
    values = history.filter(pl.col(column).cast(pl.Float64).is_finite())
    means = values.group_by("seed").agg(pl.col(column).mean()).sort("seed")[column].to_list()
    return float(sum(means) / len(means)) if means else None
