"""The tables of an experiment on augmentation: what each part adds alone and to all others, and at which strength."""

import statistics
from collections.abc import Sequence
from typing import Any

import polars as pl

from reidflow.spec.expansion import ADD, EVERY, LEAVE, roles
from reidflow.spec.experiment import Experiment
from reidflow.spec.part_strengths import candidates
from reidflow.store.tables import Contract

_DELTA = ("delta", "low", "high", "smallest_detectable")
_SIDE = {**dict.fromkeys(("id_map", *_DELTA), pl.Float64), "verdict": pl.String}
PARTS = Contract(
    "parts of an experiment",
    {
        "path": pl.String,
        "part": pl.String,
        "why": pl.String,
        **{f"{side}_{name}": kind for side in ("add", "leave") for name, kind in {"arm": pl.String, **_SIDE}.items()},
    },
    nullable=frozenset(f"{side}_{name}" for side in ("add", "leave") for name in ("arm", *_SIDE)),
)
"""add: the part alone minus nothing. leave: all parts minus all but this one, so that both speak for the part."""
STRENGTHS = Contract(
    "strengths of parts",
    {
        "part": pl.String,
        "place": pl.Int64,  # 0: without the part, then the strengths in their order
        "label": pl.String,
        "declared": pl.Boolean,  # the strength of the part's arm
        **dict.fromkeys(("id_map", "val_id_map"), pl.Float64),
        "id_map_by_seed": pl.List(pl.Float64),
        "val_id_map_by_seed": pl.List(pl.Float64),
    },
    nullable=frozenset({"id_map", "val_id_map"}),
)
WITHOUT = "without"


def parts_table(experiment: Experiment, results: pl.DataFrame) -> pl.DataFrame:
    """Return PARTS, in the order of the experiment's file. results: its table, a row per arm."""
    rows = {row["arm"]: row for row in results.to_dicts()}
    found = roles(experiment.file.arms, experiment.file.parts)
    arm_of = {(role.kind, role.path, role.part): arm for arm, role in found.items()}
    made = []
    for path, parts in experiment.file.parts.items():
        everything = arm_of.get((EVERY, path, None))
        for name, part in parts.items():
            alone, without = arm_of.get((ADD, path, name)), arm_of.get((LEAVE, path, name))
            row = {"path": path, "part": name, "why": part.why}
            row |= {f"add_{key}": value for key, value in _added(rows.get(alone)).items()}
            row |= {f"leave_{key}": value for key, value in _left_out(rows.get(without), everything).items()}
            made.append(row)
    return pl.DataFrame(made, schema=PARTS.columns)


def _added(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {}
    names = {"low": "delta_low", "high": "delta_high"}
    return {name: row[names.get(name, name)] for name in ("arm", *_SIDE)}


def _left_out(row: dict[str, Any] | None, everything: str | None) -> dict[str, Any]:
    """Return what leaving the part out shows, turned round: all parts minus all but this one."""
    if row is None:
        return {}
    found: dict[str, Any] = {"arm": row["arm"], "id_map": row["id_map"]}
    if everything is None or row["against"] != everything:
        return found
    turned = {"better": "worse", "worse": "better"}
    return found | {
        "delta": _minus(row["against_delta"]),
        "low": _minus(row["against_high"]),
        "high": _minus(row["against_low"]),
        "smallest_detectable": row["against_smallest_detectable"],
        "verdict": turned.get(row["against_verdict"], row["against_verdict"]),
    }


def _minus(value: float | None) -> float | None:
    return None if value is None else 0.0 - value


def strengths_table(
    experiment: Experiment, picked: Sequence[str], metrics: pl.DataFrame, tried: pl.DataFrame
) -> pl.DataFrame:
    """Return STRENGTHS of the parts that were picked, best first.

    metrics: the runs of the experiment's arms. tried: those of the strengths, their `arm` being `Candidate.arm_of`.
    """
    known = {candidate.part: candidate for candidate in candidates(experiment)}
    made = []
    for part in picked:
        made.append(
            {"part": part, "place": 0, "label": WITHOUT, "declared": False} | _scores(metrics, experiment.file.baseline)
        )
        for place, one in enumerate(known[part].tried, start=1):
            told = {"part": part, "place": place, "label": one.label, "declared": one.declared}
            made.append(told | _scores(tried, known[part].arm_of(one)))
    return pl.DataFrame(made, schema=STRENGTHS.columns)


def _scores(metrics: pl.DataFrame, arm: str) -> dict[str, Any]:
    own, found = metrics.filter(pl.col("arm") == arm), {}
    for name in ("id_map", "val_id_map"):
        values = own[name].to_list()
        whole = values and all(value is not None for value in values)
        found |= {name: statistics.fmean(values) if whole else None, f"{name}_by_seed": values}
    return found
