"""Random experiments on runs of one configuration, where every verdict but inconclusive and equivalent is wrong."""

from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np
import polars as pl

from reidflow.evaluation.statistics import compare
from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.arms import EvaluatedArm
from reidflow.tables.comparisons import LEVEL

EXPERIMENTS, SEEDS, MOST = 200, 3, 10
"""Random experiments, training seeds of each of their arms, and the most arms that one has."""
WRONG = ("better", "worse")
FALSE_VERDICTS = Contract(
    "false verdicts of random experiments",
    [
        Column("arms", pl.Int64, "arms", "count", "Number of arms, the baseline included; none: all experiments.",
               nullable=True),
        Column("experiments", pl.Int64, "experiments", "count", "Number of random experiments."),
        Column("wrong", pl.Int64, "wrong", "count", "Number of them with a verdict better or worse, which is wrong."),
        Column("share", pl.Float64, "share", "share1", "Share of experiments with a wrong verdict."),
        Column("share_low", pl.Float64, "lower end", "share1",
               "Lower end of its 95 % interval (Clopper and Pearson), as if the experiments were independent."),
        Column("share_high", pl.Float64, "upper end", "share1", "Upper end of the same interval."),
        Span("share_interval", ("share_low", "share_high"), "interval", "interval_share",
             "95 % interval of the share (Clopper and Pearson), as if the experiments were independent."),
        Column("half_width", pl.Float64, "half width", "number", "Median half width of the intervals of the differences."),
    ],
)  # fmt: skip


def pooled(arms: Sequence[EvaluatedArm]) -> np.ndarray:
    """Return the mean average precision of each identity that every run scores, (identities, runs), each run once; (0, 0) without one."""
    columns: dict[str, dict[str, float]] = {}
    for arm in arms:
        identities, scores = arm.scores()
        for run, values in zip(arm.runs().values(), scores.T.tolist(), strict=True):
            columns[run] = dict(zip(identities, values, strict=True))
    shared = sorted(set.intersection(*map(set, columns.values()))) if columns else []
    found = np.array([[own[identity] for own in columns.values()] for identity in shared])
    return found if shared else np.empty((0, 0))


def random_experiments(
    scores: np.ndarray, count: int = EXPERIMENTS, seeds: int = SEEDS, most: int = MOST
) -> Iterator[dict[str, np.ndarray]]:
    """Yield experiments of 2 to `most` arms, as far as runs suffice: arm -> its differences from the first, (identities, seeds).

    scores: (identities, runs). Every run is in an experiment at most once; seed k of an arm is paired with seed k of
    the first. Nothing is yielded where there are too few runs for two arms.
    """
    random, runs = np.random.Generator(np.random.PCG64(0)), scores.shape[1]
    most = min(most, runs // seeds)
    for _ in range(count if most >= 2 else 0):
        arms = int(random.integers(2, most + 1))
        drawn = scores[:, random.permutation(runs)[: arms * seeds]].reshape(len(scores), arms, seeds)
        yield {f"arm {arm}": drawn[:, arm] - drawn[:, 0] for arm in range(1, arms)}


def false_verdicts(
    scores: np.ndarray, count: int = EXPERIMENTS, seeds: int = SEEDS, most: int = MOST, level: float = LEVEL
) -> pl.DataFrame:
    """Return FALSE_VERDICTS: a row for each number of arms, then one for all; arguments as of `random_experiments`."""
    found: dict[int, list[tuple[bool, list[float]]]] = {}
    for differences in random_experiments(scores, count, seeds, most):
        compared = compare(differences, level).values()
        widths = [(one.high - one.low) / 2 for one in compared]
        found.setdefault(len(differences) + 1, []).append((any(one.verdict in WRONG for one in compared), widths))
    rows = [_row(arms, found[arms]) for arms in sorted(found)]
    every = [one for own in found.values() for one in own]
    return pl.DataFrame([*rows, _row(None, every)] if every else [], schema=FALSE_VERDICTS.columns)


def _row(arms: int | None, experiments: list[tuple[bool, list[float]]]) -> dict[str, float | int | None]:
    from scipy.stats import binomtest

    wrong = sum(any_wrong for any_wrong, _ in experiments)
    interval = binomtest(wrong, len(experiments)).proportion_ci(method="exact")
    return {
        "arms": arms,
        "experiments": len(experiments),
        "wrong": wrong,
        "share": wrong / len(experiments),
        "share_low": float(interval.low),
        "share_high": float(interval.high),
        "half_width": median(width for _, widths in experiments for width in widths),
    }
