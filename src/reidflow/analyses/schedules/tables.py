"""The learning-rate curve of each arm: what was run, step by step."""

from collections.abc import Mapping, Sequence

import polars as pl

from reidflow.spec.experiment import Experiment
from reidflow.spec.run import RunSpec
from reidflow.store.tables import Contract
from reidflow.tables.layout import Block, magnitude, share
from reidflow.tables.sections import Section
from reidflow.tables.text import NOTHING, listed, markdown

RATES = Contract(
    "rates",
    {
        "arm": pl.String,
        "seed": pl.Int64,  # null: the same for every seed
        "step": pl.Int64,  # from 0
        "epoch": pl.Float64,  # epochs that have passed before this step
        "rate": pl.Float64,
        "exact": pl.Boolean,  # false: one rate an epoch, that of its first step
    },
    nullable=frozenset({"seed"}),
)
FIGURE = "rates"


def chosen_specs(experiment: Experiment, choices: Mapping[str, dict]) -> dict[str, RunSpec]:
    """Return arm -> the spec of its reported runs, `choices` being arm -> {values, ...} where settings are tuned."""
    found = {}
    for name, arm in experiment.arms.items():
        wanted = choices[name]["values"] if name in choices else arm.points[0][0]
        found[name] = next(spec for values, spec in arm.points if values == wanted)
    return found


def recorded(history: pl.DataFrame) -> list[float]:
    """Return the rate of every step of a run as far as its history tells: that of the epoch's first step."""
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
    """Return (arm, seed, epoch, rate) of the step before which each run had the weights that it kept.

    metrics: (arm, seed, best_epoch, ...); a run that kept its untrained weights stands at the first step.
    """
    rows = []
    for arm, seed, epoch in metrics.select("arm", "seed", "best_epoch").iter_rows():
        own = rates.filter(pl.col("arm") == arm, pl.col("seed").is_null() | (pl.col("seed") == seed))
        before = own.filter(pl.col("epoch") < epoch) if epoch else own.head(1)
        if before.height:
            rows.append((arm, seed, float(epoch or 0), before["rate"][-1]))
    kinds = {"arm": pl.String, "seed": pl.Int64, "epoch": pl.Float64, "rate": pl.Float64}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def section(rates: pl.DataFrame, kept: pl.DataFrame) -> Section:
    """Return what the curves say: peak, mean and last rate of each arm, and the rate at which its weights were kept."""
    rows, low = [], []
    for arm in rates["arm"].unique(maintain_order=True):
        own, at = rates.filter(pl.col("arm") == arm), kept.filter(pl.col("arm") == arm)["rate"]
        peak = own["rate"].max()
        last = own.filter(pl.col("step") == pl.col("step").max().over("seed"))["rate"].mean()
        ends = [own["rate"].mean(), last, at.mean() if len(at) else None]
        rows.append([arm, magnitude(peak), *(NOTHING if v is None or not peak else share(v / peak) for v in ends)])
        low.append((arm, ends[2] / peak if peak and ends[2] is not None else None))
    told = [f"{markdown(arm)} {share(value)}" for arm, value in low if value is not None]
    statements = [
        "Every curve is the arm's own schedule, run again with the chosen rate and checked against the recorded one."
    ]
    if not rates["exact"].all():
        names = listed([markdown(a) for a in rates.filter(~pl.col("exact"))["arm"].unique(maintain_order=True)])
        statements = [
            f"The curves are the arms' own schedules, run again; those of {names} show the rate of each epoch's start."
        ]
    if told:
        statements.append(
            f"The weights that were kept were reached at these shares of the highest rate: {listed(told)}."
        )
    headings = ["arm", "highest rate", "mean, of the highest", "last, of the highest", "where the weights were kept"]
    return Section("Schedules", statements, [Block("", headings, rows)], {FIGURE: "Learning rate of each arm"})
