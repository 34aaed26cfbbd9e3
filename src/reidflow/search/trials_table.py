"""The tables of an experiment's trials, and the winner of each study. No search library is needed."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from reidflow.search.trial import COMPLETE
from reidflow.spec.search import Axis, Study
from reidflow.store.runs import RunStore, verified
from reidflow.store.tables import Contract

# spec.search.TABLE names them: no axis may be called so.
COLUMNS = {
    "study": pl.String,
    "trial": pl.Int64,
    "generation": pl.Int64,
    "seed": pl.Int64,  # the training's
    "state": pl.String,  # complete, pruned, diverged
    "value": pl.Float64,  # validation mAP of the kept checkpoint; 0 where diverged, null where pruned
    "values": pl.List(pl.Float64),  # validation mAP of the untrained state and after each epoch
    "reached": pl.Int64,  # epochs
    "best_epoch": pl.Int64,  # of the kept checkpoint
    "steps": pl.Int64,  # of the optimizer
    "flops": pl.Int64,  # of one image, forward
    "train_flops": pl.Int64,
    "parameters": pl.Int64,
    "trainable_parameters": pl.Int64,
    "run": pl.String,  # key in the run store
    "finalist_value": pl.Float64,  # mean validation mAP over the sweep's seeds; null where not trained with them
    "winner": pl.Boolean,
}
NULLABLE = frozenset({"value", "best_epoch", "flops", "parameters", "finalist_value"})
TEN = 10
"""Trials that count among the best of an experiment."""
TYPES = {"choice": pl.String, "int": pl.Int64, "float": pl.Float64}
TRIALS_EFFICIENCY = Contract(
    "efficiency of trials",
    {"study": pl.String, "trial": pl.Int64, "seconds": pl.Float64, "device": pl.String},
)


def TRIALS(axes: Iterable[Axis]) -> Contract:  # noqa: N802 (a contract, like the others)
    """Return the contract of the table of trials: a column for each axis, null where a study does not search it."""
    own = {axis.name: TYPES[axis.kind] for axis in axes}
    return Contract("trials of a search", {**COLUMNS, **own}, NULLABLE | own.keys())


def axes_of_studies(studies: Iterable[Study]) -> tuple[Axis, ...]:
    """Return the axes of all studies of an experiment, in the order of the one that searches the most."""
    found: dict[str, Axis] = {}
    for study in sorted(studies, key=lambda study: -len(study.axes)):
        for axis in study.axes:
            found.setdefault(axis.name, axis)
    return tuple(found.values())


def trials_table(records: Mapping[str, dict[str, Any]], studies: Iterable[Study]) -> pl.DataFrame:
    """Return TRIALS of the studies of an experiment. records: study -> its record."""
    axes = axes_of_studies(studies := list(studies))
    schema = TRIALS(axes).columns
    rows = [row for study in studies for row in _rows(study.name, records[study.name], axes)]
    return pl.DataFrame(rows, schema=schema)


def ten_best(studies: Iterable[Study], trials: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the ten best complete trials (rows of TRIALS) of the studies that search the most axes, each run once."""
    studies = list(studies)
    widest = max(len(study.axes) for study in studies)
    names = [study.name for study in studies if len(study.axes) == widest]
    own = trials.filter(pl.col("study").is_in(names) & (pl.col("state") == COMPLETE))
    own = own.unique("run", keep="first", maintain_order=True)
    return own.sort("value", descending=True, nulls_last=True, maintain_order=True).head(TEN).to_dicts()


def trials_efficiency(records: Mapping[str, dict[str, Any]], store: RunStore) -> pl.DataFrame:
    """Return TRIALS_EFFICIENCY: what the run of each trial took."""
    rows = [
        {"study": study, "trial": trial["trial"], **_efficiency(store, trial["run"])}
        for study, record in records.items()
        for trial in record["trials"]
    ]
    return pl.DataFrame(rows, schema=TRIALS_EFFICIENCY.columns)


def winners(records: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return study -> its winner: trial, settings, plain spec with the seed 0, value, finalist_value."""
    found = {}
    for study, record in records.items():
        won = record["trials"][record["winner"]]
        found[study] = {
            "trial": won["trial"],
            "settings": won["settings"],
            "spec": {**won["spec"], "seed": 0},
            "value": won["value"],
            "finalist_value": means_of(record["finalists"]).get(won["trial"]),
        }
    return found


def _rows(study: str, record: dict[str, Any], axes: Iterable[Axis]) -> list[dict[str, Any]]:
    means = means_of(record["finalists"])
    return [
        {key: trial.get(key) for key in COLUMNS}
        | {
            "study": study,
            "reached": trial["epochs"],
            "finalist_value": means.get(trial["trial"]),
            "winner": trial["trial"] == record["winner"],
        }
        | {axis.name: trial["settings"].get(axis.name) for axis in axes}
        for trial in record["trials"]
    ]


def _efficiency(store: RunStore, run: str) -> dict[str, Any]:
    facts = json.loads(verified(store.folder(run), "efficiency.json").read_text())
    return {"seconds": facts["seconds"], "device": facts["device"]}


def means_of(finalists: list[dict[str, Any]]) -> dict[int, float]:
    """Return trial -> mean over the sweep's seeds."""
    values: dict[int, list[float]] = {}
    for run in finalists:
        values.setdefault(run["trial"], []).append(run["value"])
    return {trial: math.fsum(found) / len(found) for trial, found in values.items()}


def spent(record: dict[str, Any]) -> int:
    """Return the optimizer steps of all trials of a record; those of its finalists come on top."""
    return sum(trial["steps"] for trial in record["trials"])
