"""The tables of an experiment on seeds: every run, their spread, the candidates, and what the noise says of others."""

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
from reidflow.store.tables import Contract, read_table
from reidflow.tables.arms import known, mean
from reidflow.tables.comparisons import LEVEL
from reidflow.tables.experiment import RESULTS

TRAINING, SPLIT = "training", "split"
DIFFERENCE = "difference"
"""In the table of spreads: the best minus the baseline, paired by seed or by split."""
JUDGED = ("better", "worse")

SEEDS = Contract(
    "runs with other seeds",
    {
        "kind": pl.String,  # which seed changes: of training (on the split of all experiments), or of the split
        "arm": pl.String,
        "split_seed": pl.Int64,  # null: the split of all experiments
        "seed": pl.Int64,  # of training
        "run": pl.String,
        **dict.fromkeys(("id_map", "val_id_map", "chance"), pl.Float64),
        "diverged": pl.Boolean,
    },
    nullable=frozenset({"split_seed", "id_map", "val_id_map"}),
)
_MOMENTS = ("mean", "std", "standard_error", "lowest", "highest")
SPREADS = Contract(
    "spread over seeds",
    {
        "kind": pl.String,
        "arm": pl.String,  # or DIFFERENCE
        "count": pl.Int64,  # of training seeds, or of splits
        **dict.fromkeys(_MOMENTS, pl.Float64),  # of the test id_map; over splits no standard error: they share images
    },
    nullable=frozenset(_MOMENTS),
)
RANKING = Contract(
    "candidates by validation mAP",
    {
        "place": pl.Int64,  # from 1
        "experiment": pl.String,
        "arm": pl.String,
        "configuration": pl.String,  # digest of the spec without its seed: the same under other names
        "seeds": pl.Int64,
        "val_id_map": pl.Float64,  # mean over seeds, a diverged run counted as 0
        "val_id_map_by_seed": pl.List(pl.Float64),
        "diverged": pl.Int64,  # runs
        "p_holm": pl.Float64,  # of being the first one's equal, from the spread of both over their seeds
        "told_apart": pl.Boolean,  # from the first; null where a candidate has one seed
    },
    nullable=frozenset({"p_holm", "told_apart"}),
)
_SPLIT_COLUMNS = {"split_noise": pl.Float64, "split_ratio": pl.Float64, "split_limit": pl.Float64}
READINGS = Contract(
    "differences read against the noise of seeds",
    {
        "experiment": pl.String,
        "arm": pl.String,  # that with the largest difference to its baseline, in size
        "arms": pl.Int64,  # compared with the baseline: the largest is picked from so many
        "seeds": pl.Int64,  # of that arm
        **dict.fromkeys(("delta", "delta_low", "delta_high"), pl.Float64),
        "verdict": pl.String,
        "noise": pl.Float64,  # standard deviation of a difference of two means of so many seeds
        "ratio": pl.Float64,  # size of delta over noise
        "limit": pl.Float64,  # the largest of so many differences stays below it with 95 % where none is real
        "carried": pl.Boolean,  # delta lies beyond the limit
        **_SPLIT_COLUMNS,  # the same where the images might as well have been split another way
        "split_carried": pl.Boolean,
        "judged": pl.Int64,  # arms whose verdict is better or worse
        "judged_carried": pl.Int64,  # of them beyond the limit
        "judged_split_carried": pl.Int64,
    },
    nullable=frozenset({"delta_low", "delta_high", "ratio", *_SPLIT_COLUMNS, "split_carried", "judged_split_carried"}),
)


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
        shared = [key for key in values[best] if key in values[baseline]]
        values[DIFFERENCE] = {key: values[best][key] - values[baseline][key] for key in shared}
        rows += [{"kind": kind, "arm": arm, **_moments(list(own.values()), kind)} for arm, own in values.items()]
    return pl.DataFrame(rows, schema=SPREADS.columns)


def by_seed(seeds: pl.DataFrame, kind: str, arm: str, column: str = "id_map") -> dict[int, float]:
    """Return the scores of an arm by training seed, or by split seed as means over training seeds."""
    own = seeds.filter((pl.col("kind") == kind) & (pl.col("arm") == arm) & pl.col(column).is_not_null())
    found: dict[int, list[float]] = {}
    for key, value in own.select("seed" if kind == TRAINING else "split_seed", column).iter_rows():
        found.setdefault(key, []).append(value)
    return {key: mean(values) for key, values in found.items()}


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
    """Return RANKING of what `evaluation.best` ranked, in its order."""
    found = [_welch(ranking[0]["values"], row["values"]) for row in ranking[1:]]
    known_p = [p for p in found if p is not None]
    corrected = iter(holm(np.array(known_p), level)[0].tolist() if known_p else [])
    p_holm = [None, *(None if p is None else next(corrected) for p in found)]
    rows = [
        {
            "place": place,
            **{key: row[key] for key in ("experiment", "arm", "configuration", "val_id_map", "diverged")},
            "seeds": len(row["seeds"]),
            "val_id_map_by_seed": row["values"],
            "p_holm": p,
            "told_apart": False if place == 1 else None if p is None else p <= level,
        }
        for place, (row, p) in enumerate(zip(ranking, p_holm, strict=True), start=1)
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
    """How much results change with seeds.

    Attributes:
        std: of a run over training seeds: root mean square over the best arm and the baseline; `freedom` of it.
        split_std: of a difference over splits, apart from what training seeds add to it; None without splits.
        split_freedom: splits but one.
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
    splits = [by_seed(seeds, SPLIT, arm) for arm in (best, baseline)]
    differences = [splits[0][key] - splits[1][key] for key in splits[0] if key in splits[1]]
    if len(differences) < 2:
        return Noise(std, freedom)
    trained = seeds.filter(pl.col("kind") == SPLIT)["seed"].n_unique()
    rest = statistics.variance(differences) - 2 * std**2 / trained
    return Noise(std, freedom, math.sqrt(max(rest, 0.0)), len(differences) - 1)


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
    judged = [row for row in rows if row["verdict"] in JUDGED]
    split = noise.split_std is not None
    return {column: largest.get(column) for column in READINGS.columns} | {
        "experiment": name,
        "arms": len(rows),
        "judged": len(judged),
        "judged_carried": sum(row["carried"] for row in judged),
        "judged_split_carried": sum(row["split_carried"] for row in judged) if split else None,
    }


def _against(row: Mapping[str, Any], noise: Noise, level: float) -> dict[str, Any]:
    """Return how an arm's difference stands to the noise of its number of seeds."""
    size, found = abs(row["delta"]), {}
    for prefix, spread, freedom in (
        ("", noise.of_difference(row["seeds"]), noise.freedom),
        ("split_", noise.with_split(row["seeds"]), noise.split_freedom),
    ):
        if spread is not None:
            limit = float(stdtrit(freedom, 1 - level / 2)) * spread
            ratio = size / spread if spread > 0 else None
            told = {"noise": spread, "ratio": ratio, "limit": limit, "carried": size > limit}
            found |= {f"{prefix}{key}": value for key, value in told.items()}
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
