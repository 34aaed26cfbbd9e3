"""Tables of an experiment on seeds: every run, their spread, the candidates, and other differences against the noise."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.special import stdtr, stdtrit

from reidflow.evaluation.statistics import holm
from reidflow.store.tables import Column, Contract, read_table
from reidflow.tables.arms import known, mean
from reidflow.tables.columns import column, columns
from reidflow.tables.comparisons import LEVEL
from reidflow.tables.experiment import RESULTS

TRAINING, SPLIT = "training", "split"
DIFFERENCE = "difference"
"""In the table of spreads: the best minus the baseline, paired by seed or by split."""
SIGNIFICANT = ("better", "worse")
_KIND = Column(
    "kind",
    pl.String,
    "over",
    "text",
    "Which seed changes: training, on the split of all experiments; or split.",
)


def _moment(name: str, heading: str, meaning: str) -> Column:
    return Column(name, pl.Float64, heading, "number", meaning, nullable=True)


def _against_noise(prefix: str, words: str, nullable: bool) -> list[Column]:
    """Return the columns of READINGS that compare a difference with the noise of `words`."""
    heading = " with the split" if prefix else ""
    return [
        Column(f"{prefix}noise", pl.Float64, f"noise{heading}", "number",
               f"Standard deviation of a difference of two means of so many seeds, by {words}.", nullable=nullable),
        Column(f"{prefix}ratio", pl.Float64, f"difference over noise{heading}", "number1",
               "Size of the difference over the noise; none where there is no noise.", nullable=True),
        Column(f"{prefix}limit", pl.Float64, f"limit{heading}", "number",
               "Where none is real, the largest of so many differences stays below it with 95 %.", nullable=nullable),
        Column(f"{prefix}beyond", pl.Boolean, f"beyond the noise{heading}", "yes_no",
               "Whether the difference is larger than the limit.", nullable=nullable),
    ]  # fmt: skip


SEEDS = Contract(
    "runs with other seeds",
    [
        _KIND,
        *columns("arm"),
        Column("split_seed", pl.Int64, "split seed", "text", "Seed of the split; none: the split of all experiments.",
               nullable=True),
        *columns("seed", "run", "id_map", "val_id_map"),
        column("chance").but(nullable=False),
        Column("diverged", pl.Boolean, "diverged", "yes_no", "Whether the run diverged."),
    ],
)  # fmt: skip
SPREADS = Contract(
    "spread over seeds",
    [
        _KIND,
        column("arm").but(meaning="Name of the arm; difference: the best minus the baseline, paired by seed or split."),
        Column("count", pl.Int64, "count", "count", "Number of training seeds, or of splits."),
        _moment("mean", "mean", "Mean of the balanced mAP on test."),
        _moment("std", "std", "Standard deviation; over splits it includes that of training seeds."),
        _moment(
            "standard_error", "standard error", "Standard error of the mean; none over splits, which share images."
        ),
        _moment("lowest", "lowest", "Lowest value."),
        _moment("highest", "highest", "Highest value."),
    ],
)
RANKING = Contract(
    "candidates by validation mAP",
    [
        Column("rank", pl.Int64, "rank", "count", "Rank by mean validation mAP."),
        *columns("experiment", "arm"),
        Column("configuration", pl.String, "configuration", "text", "Digest of the spec without its seed."),
        *columns("seeds"),
        column("val_id_map").but(meaning="Mean validation mAP over seeds; a diverged run counts as 0.", nullable=False),
        column("val_id_map_by_seed").but(nullable=False),
        Column("diverged", pl.Int64, "diverged", "count", "Number of runs that diverged."),
        column("p_adjusted").but(meaning="p value of the difference from the first (Welch's t test), corrected (Holm)."),
        Column("different", pl.Boolean, "different from the first", "yes_no",
               "Whether it is significantly different from the first; none where a candidate has one seed.",
               nullable=True),
    ],
)  # fmt: skip
READINGS = Contract(
    "largest differences against the noise of seeds",
    [
        *columns("experiment"),
        column("arm").but(meaning="The arm with the largest difference, in size, from its baseline."),
        Column("arms", pl.Int64, "of arms", "count", "Number of arms that the experiment compares with its baseline."),
        column("seeds").but(meaning="Number of training seeds of that arm."),
        column("delta").but(nullable=False),
        *columns("delta_low", "delta_high", "interval", "verdict"),
        *_against_noise("", "training seeds alone", nullable=False),
        *_against_noise("split_", "training seeds and the split together", nullable=True),
        Column("significant", pl.Int64, "significant", "count", "Number of arms with the verdict better or worse."),
        Column("significant_beyond", pl.Int64, "of them beyond", "count", "Number of those beyond the noise of training seeds."),
        Column("significant_split_beyond", pl.Int64, "of them beyond with the split", "count",
               "Number of those beyond the noise of training seeds and the split.", nullable=True),
    ],
)  # fmt: skip


def seeds_table(metrics: pl.DataFrame, split_runs: pl.DataFrame | None) -> pl.DataFrame:
    """Return SEEDS: the runs of an experiment (METRICS), then those on other splits (SPLIT_RUNS), where there are any."""
    parts = [metrics.with_columns(kind=pl.lit(TRAINING), split_seed=pl.lit(None, pl.Int64))]
    if split_runs is not None:
        parts.append(split_runs.with_columns(kind=pl.lit(SPLIT)))
    unknown = [pl.col(name).fill_nan(None) for name in ("id_map", "val_id_map")]
    return pl.concat([part.select(*SEEDS.columns) for part in parts]).with_columns(unknown)


def spreads_table(seeds: pl.DataFrame, best: str, baseline: str) -> pl.DataFrame:
    """Return SPREADS of the best arm, the baseline and their difference, over training seeds, then over splits.

    A split counts once: several training seeds on it are averaged. One without a score is left out of the difference.
    """
    rows = []
    for kind in (TRAINING, SPLIT):
        values = {arm: by_seed(seeds, kind, arm) for arm in (best, baseline)}
        if not any(values.values()):
            continue
        values[DIFFERENCE] = differences(seeds, kind, best, baseline)
        rows += [{"kind": kind, "arm": arm, **_moments(list(own.values()), kind)} for arm, own in values.items()]
    return pl.DataFrame(rows, schema=SPREADS.columns)


def by_seed(seeds: pl.DataFrame, kind: str, arm: str, metric: str = "id_map") -> dict[int, float]:
    """Return the scores of an arm by training seed, or by split seed as means over training seeds."""
    own = seeds.filter((pl.col("kind") == kind) & (pl.col("arm") == arm) & pl.col(metric).is_not_null())
    found: dict[int, list[float]] = {}
    for key, value in own.select("seed" if kind == TRAINING else "split_seed", metric).iter_rows():
        found.setdefault(key, []).append(value)
    return {key: mean(values) for key, values in found.items()}


def differences(seeds: pl.DataFrame, kind: str, best: str, baseline: str) -> dict[int, float]:
    """Return the test mAP of the best minus the baseline's by training seed, or by split seed, where both have one."""
    ours, theirs = (by_seed(seeds, kind, arm) for arm in (best, baseline))
    return {key: ours[key] - theirs[key] for key in ours if key in theirs}


def _moments(values: list[float], kind: str) -> dict[str, Any]:
    std = statistics.stdev(values) if len(values) > 1 else None
    return {
        "count": len(values),
        "mean": mean(values) if values else None,
        "std": std,
        "standard_error": std / math.sqrt(len(values)) if std is not None and kind == TRAINING else None,
        "lowest": min(values, default=None),
        "highest": max(values, default=None),
    }


def ranking_table(ranking: Sequence[Mapping[str, Any]], level: float = LEVEL) -> pl.DataFrame:
    """Return RANKING of the ranking of candidates, in its order."""
    found = [_welch(ranking[0]["values"], row["values"]) for row in ranking[1:]]
    known_p = [p for p in found if p is not None]
    corrected = iter(holm(np.array(known_p), level)[0].tolist() if known_p else [])
    p_adjusted = [None, *(None if p is None else next(corrected) for p in found)]
    rows = [
        {
            "rank": rank,
            **{key: row[key] for key in ("experiment", "arm", "configuration", "val_id_map", "diverged")},
            "seeds": len(row["seeds"]),
            "val_id_map_by_seed": row["values"],
            "p_adjusted": p,
            "different": False if rank == 1 else None if p is None else p <= level,
        }
        for rank, (row, p) in enumerate(zip(ranking, p_adjusted, strict=True), start=1)
    ]
    return pl.DataFrame(rows, schema=RANKING.columns)


def _welch(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Return Welch's two-sided p value; None with fewer than two values, 1 where neither difference nor spread shows."""
    if min(len(ours), len(theirs)) < 2:
        return None
    parts = [statistics.variance(values) / len(values) for values in (ours, theirs)]
    difference = abs(mean(ours) - mean(theirs))
    if sum(parts) == 0:
        return 1.0 if difference == 0 else 0.0
    freedom = sum(parts) ** 2 / sum(p**2 / (len(v) - 1) for p, v in zip(parts, (ours, theirs), strict=True))
    return float(2 * stdtr(freedom, -difference / math.sqrt(sum(parts))))


@dataclass(frozen=True)
class Noise:
    """Standard deviations of results over seeds.

    std: of a run over training seeds, root mean square over the best arm and the baseline; freedom: its degrees of freedom.
    split_std: of a difference over splits, without what training seeds add to it; None without splits. split_freedom:
    number of splits less one.
    """

    std: float
    freedom: int
    split_std: float | None = None
    split_freedom: int = 0

    def of_difference(self, seeds: int) -> float:
        """Return the standard deviation of a difference of two means of so many seeds."""
        return self.std * math.sqrt(2 / seeds)

    def with_split(self, seeds: int) -> float | None:
        """Return the same where the split changes as well."""
        return None if self.split_std is None else math.hypot(self.split_std, self.of_difference(seeds))


def noise_of(seeds: pl.DataFrame, best: str, baseline: str) -> Noise | None:
    """Return the noise that SEEDS show, None with fewer than two training seeds of each arm."""
    values = [list(by_seed(seeds, TRAINING, arm).values()) for arm in dict.fromkeys((best, baseline))]
    if min(map(len, values)) < 2:
        return None
    std = math.sqrt(mean([statistics.variance(own) for own in values]))
    freedom = sum(len(own) - 1 for own in values)
    apart = list(differences(seeds, SPLIT, best, baseline).values())
    if len(apart) < 2:
        return Noise(std, freedom)
    trained = seeds.filter(pl.col("kind") == SPLIT)["seed"].n_unique()
    rest = statistics.variance(apart) - 2 * std**2 / trained
    return Noise(std, freedom, math.sqrt(max(rest, 0.0)), len(apart) - 1)


def readings_table(results: Mapping[str, pl.DataFrame], noise: Noise | None, level: float = LEVEL) -> pl.DataFrame:
    """Return READINGS, a row an experiment that compares something, in their order.

    results: experiment -> its RESULTS. The limit is Student's t at the level over the number of arms (Bonferroni: the
    largest of them was picked), two-sided, with the degrees of freedom of the noise, times the noise.
    """
    rows = [_reading(name, table, noise, level) for name, table in results.items()] if noise else []
    return pl.DataFrame([row for row in rows if row], schema=READINGS.columns)


def _reading(name: str, results: pl.DataFrame, noise: Noise, level: float) -> dict[str, Any]:
    compared = [row for row in results.to_dicts() if not row["baseline"] and known(row["delta"]) is not None]
    if not compared:
        return {}
    rows = [row | _against(row, noise, level / len(compared)) for row in compared]
    largest = max(rows, key=lambda row: abs(row["delta"]))
    significant = [row for row in rows if row["verdict"] in SIGNIFICANT]
    split = noise.split_std is not None
    return {name: largest.get(name) for name in READINGS.columns} | {
        "experiment": name,
        "arms": len(rows),
        "significant": len(significant),
        "significant_beyond": sum(row["beyond"] for row in significant),
        "significant_split_beyond": sum(row["split_beyond"] for row in significant) if split else None,
    }


def _against(row: Mapping[str, Any], noise: Noise, level: float) -> dict[str, Any]:
    """Return an arm's difference against the noise of its number of seeds."""
    size, found = abs(row["delta"]), {}
    for prefix, spread, freedom in (
        ("", noise.of_difference(row["seeds"]), noise.freedom),
        ("split_", noise.with_split(row["seeds"]), noise.split_freedom),
    ):
        if spread is not None:
            limit = float(stdtrit(freedom, 1 - level / 2)) * spread
            ratio = size / spread if spread > 0 else None
            values = {"noise": spread, "ratio": ratio, "limit": limit, "beyond": size > limit}
            found |= {f"{prefix}{key}": value for key, value in values.items()}
    return found


def read_results(files: Sequence[tuple[str, str | Path]]) -> dict[str, pl.DataFrame]:
    """Return experiment -> its RESULTS, from (experiment, file)."""
    return {name: read_table(path, RESULTS) for name, path in files}


CONTRACTS = {"seeds": SEEDS, "spreads": SPREADS, "ranking": RANKING, "readings": READINGS}


def all_tables(
    seeds: pl.DataFrame,
    ranking: Sequence[Mapping[str, Any]],
    results: Mapping[str, pl.DataFrame],
    best: str,
    baseline: str,
) -> dict[str, pl.DataFrame]:
    """Return the tables of CONTRACTS by name, from SEEDS, the ranking, and the RESULTS of other experiments."""
    return {
        "seeds": seeds,
        "spreads": spreads_table(seeds, best, baseline),
        "ranking": ranking_table(ranking),
        "readings": readings_table(results, noise_of(seeds, best, baseline)),
    }
