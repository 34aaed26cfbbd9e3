"""The evaluated arms of an experiment as the tables read them, checked."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.runs import EFFICIENCY, HISTORY, METRICS, PER_QUERY, of_runs, of_seeds
from reidflow.spec.canonical import short
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import Arm, Experiment
from reidflow.store.tables import read_table

ROUNDING = 1e-6
TABLES = {"metrics": METRICS, "per_query": PER_QUERY, "history": HISTORY, "efficiency": EFFICIENCY}
"""The tables of an experiment's evaluated runs: `<name>.parquet`."""
QUERY_COLUMNS = ("arm", "seed", "split", "image", "identity", "flank", "ap")
"""Columns of PER_QUERY that tables need."""


@dataclass(frozen=True)
class EvaluatedArm:
    """The evaluated runs of one arm.

    metrics, efficiency: a row a seed, in the order of the arm's seeds; `trained`: METRICS with a row a
    run; None where there is no history.
    """

    name: str
    seeds: tuple[int, ...]
    metrics: pl.DataFrame
    per_query: pl.DataFrame
    history: pl.DataFrame
    efficiency: pl.DataFrame
    chosen: dict[str, Any] | None
    trained: pl.DataFrame | None = None

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """The folds that every seed is trained and tested on; none where each seed has one split."""
        runs = self.per_query.select("seed", "split").unique()
        return tuple(sorted(set(runs["split"]))) if runs.height > runs["seed"].n_unique() else ()

    def histories(self) -> list[tuple[pl.DataFrame, float | None]]:
        """Return the history of each run, with the validation mAP of the weights that it kept."""
        runs = self.metrics if self.trained is None else self.trained
        return [
            (self.history.filter(pl.col("seed") == seed, pl.col("split") == split), known(kept))
            for seed, split, kept in runs.select("seed", "split", "val_id_map").iter_rows()
        ]

    def first(self, seeds: int) -> "EvaluatedArm":
        """Return the arm with its first seeds alone."""
        if seeds >= len(self.seeds):
            return self
        own = {name: getattr(self, name) for name in TABLES}
        kept = {n: t.filter(pl.col("seed").is_in(self.seeds[:seeds])) if t.width else t for n, t in own.items()}
        return replace(self, seeds=self.seeds[:seeds], **kept)

    def evaluated(self) -> str:
        """Return the digest of the queries that were scored: (image, identity), in the order of their names."""
        scored = self.per_query.filter(pl.col("ap").is_not_null()).select("image", "identity").unique().sort("image")
        return short([list(row) for row in scored.iter_rows()])

    def runs(self) -> dict[int, str]:
        """Return seed -> key of the run in the store: arms with the same runs are the same network."""
        return dict(self.metrics.select("seed", "run").iter_rows())

    def scores(self, flank: str | None = None) -> tuple[list[str], np.ndarray]:
        """Return the identities scored with every seed, sorted, and their mean average precision, (identities, seeds).

        Of an arm with folds: those scored in any, and their mean in each fold over seeds, (identities, folds), NaN where
        an identity has no query in the fold. A fold's mean is weighted by its share of the identity's queries, so that the
        mean over its folds is that over all of its queries.
        flank: only queries that show this flank; None: all queries.
        """
        if flank not in self._known_scores:
            self._known_scores[flank] = self._scores(flank)
        return self._known_scores[flank]

    @cached_property
    def _known_scores(self) -> dict[str | None, tuple[list[str], np.ndarray]]:
        return {}

    def _scores(self, flank: str | None) -> tuple[list[str], np.ndarray]:
        rows = self.per_query.filter(pl.col("ap").is_not_nan())
        rows = rows if flank is None else rows.filter(pl.col("flank") == flank)
        return self._fold_scores(rows) if self.folds else self._seed_scores(rows)

    def seed_scores(self) -> tuple[list[str], np.ndarray]:
        """Return the identities scored with every seed, sorted, and their mean average precision, (identities, seeds).

        Of an arm with folds: the mean over the queries of all folds.
        """
        return self._seed_scores(self.per_query.filter(pl.col("ap").is_not_nan()))

    def _seed_scores(self, rows: pl.DataFrame) -> tuple[list[str], np.ndarray]:
        of = identity_means(rows)
        found = sorted({identity for identity, _ in of})
        identities = [i for i in found if all((i, seed) in of for seed in self.seeds)]
        table = [[of[identity, seed] for seed in self.seeds] for identity in identities]
        return identities, np.array(table, dtype=float).reshape(len(identities), len(self.seeds))

    def _fold_scores(self, rows: pl.DataFrame) -> tuple[list[str], np.ndarray]:
        identities, _ = self._seed_scores(rows)
        row_of = {identity: row for row, identity in enumerate(identities)}
        scored = rows.filter(pl.col("ap").is_not_null() & pl.col("identity").is_in(identities))
        sums = np.full((len(identities), len(self.folds)), np.nan)
        for identity, split, values in scored.group_by("identity", "split").agg("ap").iter_rows():
            sums[row_of[identity], self.folds.index(split)] = math.fsum(values)
        total = dict(scored.group_by("identity").len().iter_rows())
        number = np.array([total[identity] for identity in identities]).reshape(-1, 1)
        tested = (~np.isnan(sums)).sum(axis=1, keepdims=True)
        return identities, sums / number * tested


def by_arm(table: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return arm -> its rows of a table of evaluated runs, in the order of their first rows."""
    return {name: table.filter(pl.col("arm") == name) for name in table["arm"].unique(maintain_order=True)}


def evaluated_arms(experiment: Experiment, metrics: pl.DataFrame, per_query: pl.DataFrame) -> dict[str, EvaluatedArm]:
    """Return the arms that have runs in METRICS and PER_QUERY, in the order of the experiment, without history."""
    runs, queries, nothing = by_arm(of_seeds(metrics)), by_arm(per_query), pl.DataFrame()
    return {
        name: EvaluatedArm(name, tuple(runs[name]["seed"]), runs[name], queries[name], nothing, nothing, None)
        for name in experiment.arms
        if name in runs
    }


def known(value: float | None) -> float | None:
    """Return the value, None for NaN."""
    return None if value is None or math.isnan(value) else value


def identity_mean(table: np.ndarray) -> float | None:
    """Return the mean over identities of each one's mean over the cells that it has; None without any.

    table: (identities, columns), NaN where an identity has no value.
    """
    rows = [[value for value in row if not math.isnan(value)] for row in table.tolist()]
    means = [mean(row) for row in rows if row]
    return mean(means) if means else None


def mean(values: Iterable[float]) -> float:
    """Return the mean, exact before it is rounded, so that it does not depend on the order of the values."""
    return float(statistics.mean(values))


def identity_means(per_query: pl.DataFrame) -> dict[tuple[str, int], float]:
    """Return (identity, seed) -> mean average precision over the queries that were scored."""
    values: dict[tuple[str, int], list[float]] = {}
    scored = per_query.filter(pl.col("ap").is_not_null())
    for identity, seed, ap in scored.select("identity", "seed", "ap").iter_rows():
        values.setdefault((identity, seed), []).append(ap)
    return {key: mean(found) for key, found in values.items()}


def same_runs(arms: Iterable[EvaluatedArm]) -> dict[str, str]:
    """Return arm -> a remark, for every arm whose runs are those of an arm before it, and score as they do."""
    first: dict[tuple, str] = {}
    remarks = {}
    for arm in arms:
        # Arms that differ in what is done with embeddings share runs, and differ in scores.
        name = first.setdefault(tuple(sorted(arm.metrics.select("seed", "run", "id_map").rows())), arm.name)
        if name != arm.name:
            remarks[arm.name] = f"the same runs as arm {name}"
    return remarks


def read_arms(experiment: Experiment, files: Mapping[str, str | Path], chosen: str | Path | None) -> list[EvaluatedArm]:
    """Return the evaluated arms of an experiment in the order of its file; those without any run are left out.

    files: name -> file for each of TABLES. chosen: the file of the choices, where settings are tuned.
    Raises ReidflowError for a file that is missing or damaged, seeds other than an arm's, a mean that is not the mean of
    its queries, or a choice that is missing although settings are tuned.
    """
    tables = {name: read_table(files[name], contract) for name, contract in TABLES.items() if name != "per_query"}
    choices = _choices(chosen) if experiment.tuned else {}
    found = []
    for arm in experiment.arms.values():
        own = {name: table.filter(pl.col("arm") == arm.name) for name, table in tables.items()}
        if own["metrics"].is_empty():
            continue
        # By far the largest of the tables: only one arm's part of it is in memory at a time.
        own["per_query"] = read_table(files["per_query"], PER_QUERY, QUERY_COLUMNS, [("arm", "==", arm.name)])
        trained = of_runs(own["metrics"])
        own |= {"metrics": of_seeds(own["metrics"]), "efficiency": _efficiency_of_seeds(own["efficiency"])}
        for name in ("metrics", "efficiency"):
            own[name] = _ordered(own[name], arm, files[name])
        seeds, choice = tuple(own["metrics"]["seed"]), _chosen(choices, arm.name, chosen)
        found.append(EvaluatedArm(arm.name, seeds, **own, chosen=choice, trained=trained))
        _check_means(found[-1], files["metrics"])
    return found


def _efficiency_of_seeds(runs: pl.DataFrame) -> pl.DataFrame:
    """Return EFFICIENCY with a row a seed: means over its folds, the largest memory."""
    return runs.group_by("arm", "seed", maintain_order=True).agg(
        pl.col("split").first(),
        pl.col("seconds_train", "images_per_second").mean(),
        pl.col("peak_memory_mb").max(),
        pl.col("device").unique(maintain_order=True).str.join("; "),
    )


def _ordered(frame: pl.DataFrame, arm: Arm, file: str | Path) -> pl.DataFrame:
    seeds = pl.DataFrame({"seed": trained_seeds(arm, frame["seed"], file)}, schema={"seed": pl.Int64})
    return seeds.join(frame, on="seed", how="left", maintain_order="left")


def trained_seeds(arm: Arm, found: Iterable[int], file: str | Path) -> tuple[int, ...]:
    """Return the seeds of an arm in its order: those of the looks at it so far. found: those that a table has.

    Raises ReidflowError where these are others.
    """
    found = sorted(found)
    possible = [tuple(chain(*arm.looks[: look + 1])) for look in range(len(arm.looks))]
    for seeds in possible:
        if sorted(seeds) == found:
            return seeds
    raise ReidflowError(
        f"{file}: holds the seeds {found} of the arm '{arm.name}', which has {' or '.join(str(sorted(s)) for s in possible)}. "
        "Delete the file and run again."
    )


def _choices(path: str | Path) -> dict[str, Any]:
    try:
        return dict(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise ReidflowError(
            f"{path}: does not say which settings were chosen. Delete the file, if there is one, and run again."
        ) from None


def _chosen(choices: dict[str, Any], arm: str, path: str | Path) -> dict[str, Any] | None:
    if not path:
        return None
    chosen = choices.get(arm)
    kinds = (("values", dict), ("points", list), ("on_edge", dict))
    if isinstance(chosen, dict) and all(isinstance(chosen.get(key), kind) for key, kind in kinds):
        return chosen
    raise ReidflowError(f"{path}: does not say which settings the arm '{arm}' chose. Delete the file and run again.")


def _check_means(arm: EvaluatedArm, file: str | Path) -> None:
    """Raise ReidflowError when a seed's id_map is not the mean over identities of its own queries."""
    by_seed: dict[int, list[float]] = {}
    for (_, seed), value in identity_means(arm.per_query).items():
        by_seed.setdefault(seed, []).append(value)
    means = {seed: mean(values) for seed, values in by_seed.items()}
    for seed, stated in arm.metrics.select("seed", "id_map").iter_rows():
        stated, found = known(stated), known(means.get(seed))
        if (stated is None) != (found is None) or (stated is not None and abs(stated - found) > ROUNDING):
            raise ReidflowError(
                f"{file}: gives seed {seed} of the arm '{arm.name}' an id_map of {stated}, but the queries in the table per "
                f"query average {found}. Delete both files and run again."
            )


def same_training(rows: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Return the arms that keep the same images for as many steps, group by group. rows: with `arm` and `same_as`."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        if row["same_as"] is not None:
            groups.setdefault(row["same_as"], [row["same_as"]]).append(row["arm"])
    return list(groups.values())
