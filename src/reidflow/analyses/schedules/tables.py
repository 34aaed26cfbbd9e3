"""Learning-rate curves of the arms, step by step."""

from collections.abc import Mapping, Sequence

import polars as pl

from reidflow.evaluation.selection import chosen_values
from reidflow.spec.experiment import Experiment
from reidflow.spec.run import RunSpec
from reidflow.store.tables import Column, Contract
from reidflow.tables.columns import column, columns

RATES = Contract(
    "rates",
    [
        *columns("arm"),
        column("seed").but(meaning="Training seed; empty: the same for every seed.", nullable=True),
        Column("step", pl.Int64, "step", "count", "Optimizer step, from 0."),
        Column("epoch", pl.Float64, "epoch", "number2", "Epochs before this step."),
        Column("rate", pl.Float64, "learning rate", "magnitude", "Learning rate of the step."),
        Column("exact", pl.Boolean, "exact", "yes_no", "no: the rate of the first step of the epoch."),
    ],
)
_OF_PEAK = "as a share of the highest rate."
SUMMARY = Contract(
    "learning rates of an arm",
    [
        *columns("arm"),
        Column("peak", pl.Float64, "highest rate", "magnitude", "Highest learning rate of the arm."),
        Column("mean", pl.Float64, "mean", "share", f"Mean learning rate over all steps, {_OF_PEAK}", nullable=True),
        Column("last", pl.Float64, "last", "share", f"Learning rate of the last step, {_OF_PEAK}", nullable=True),
        Column("kept", pl.Float64, "at the kept weights", "share",
               f"Learning rate before the epoch whose weights were kept, mean over seeds, {_OF_PEAK}", nullable=True),
    ],
)  # fmt: skip
KEPT = {"arm": pl.String, "seed": pl.Int64, "epoch": pl.Float64, "rate": pl.Float64}


def chosen_specs(experiment: Experiment, choices: Mapping[str, dict]) -> dict[str, RunSpec]:
    """Return arm -> the spec of its reported runs. choices: arm -> {values, ...} of tuned hyperparameters; of several splits, those of the first."""
    found = {}
    for name, arm in experiment.arms.items():
        wanted = chosen_values(choices[name], 0) if name in choices else arm.points[0][0]
        found[name] = next(spec for values, spec in arm.points if values == wanted)
    return found


def recorded(history: pl.DataFrame) -> list[float]:
    """Return the rate of every step of a run as its history records it: that of the epoch's first step."""
    rates: list[float] = []
    for steps, rate in history.filter(pl.col("epoch") > 0).sort("epoch").select("steps", "learning_rate").iter_rows():
        rates += [rate] * (steps - len(rates))
    return rates


def rates_table(curves: Mapping[tuple[str, int], tuple[Sequence[float], int, bool]]) -> pl.DataFrame:
    """Return the RATES table of (arm, seed) -> (rates, steps per epoch, exact); equal seeds are one curve."""
    rows = []
    for arm in dict.fromkeys(arm for arm, _ in curves):
        own = {seed: curve for (name, seed), curve in curves.items() if name == arm}
        same = len({tuple(rates) for rates, *_ in own.values()}) == 1
        for seed, (rates, steps, exact) in list(own.items())[: 1 if same else None]:
            who = None if same else seed
            rows += [(arm, who, n, n / steps, rate, exact) for n, rate in enumerate(rates)]
    return pl.DataFrame(rows, schema=RATES.columns, orient="row")


def kept_rates(rates: pl.DataFrame, metrics: pl.DataFrame) -> pl.DataFrame:
    """Return KEPT: the epoch of the weights that each run kept, and the rate of the last step before.

    metrics: (arm, seed, best_epoch, ...); for a run that kept its untrained weights, the rate of the first step.
    """
    rows = []
    for arm, seed, epoch in metrics.select("arm", "seed", "best_epoch").iter_rows():
        own = rates.filter(pl.col("arm") == arm, pl.col("seed").is_null() | (pl.col("seed") == seed))
        before = own.filter(pl.col("epoch") < epoch) if epoch else own.head(1)
        if before.height:
            rows.append((arm, seed, float(epoch or 0), before["rate"][-1]))
    return pl.DataFrame(rows, schema=KEPT, orient="row")


def summary_table(rates: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """Return SUMMARY: highest, mean and last rate of each arm, and the rate at which its weights were kept."""
    rows = []
    for (arm,), own in rates.group_by(["arm"], maintain_order=True):
        peak, at = own["rate"].max(), kept.filter(pl.col("arm") == arm)["rate"]
        last = own.filter(pl.col("step") == pl.col("step").max().over("seed"))["rate"].mean()
        shares = [v / peak if peak and v is not None else None for v in (own["rate"].mean(), last, at.mean())]
        rows.append((arm, peak, *shares))
    return pl.DataFrame(rows, schema=SUMMARY.columns, orient="row")
