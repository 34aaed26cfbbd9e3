"""Tables of an experiment on augmentation: the gain of each part alone and among all others, and by strength."""

import statistics
from collections.abc import Sequence
from functools import partial
from typing import Any

import polars as pl

from reidflow.spec.expansion import ADD, EVERY, LEAVE, roles
from reidflow.spec.experiment import Experiment
from reidflow.spec.part_strengths import candidates
from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.columns import column, columns

_SIDE = ("arm", "id_map", "delta", "low", "high", "smallest_detectable", "verdict")
SIDES = {"add": "alone minus no augmentation", "leave": "all minus all but it"}
"""add: the part alone minus nothing. leave: all parts minus all but this one, so that a gain is positive in both."""


def _side(side: str, words: str) -> list[Column | Span]:
    number = partial(Column, dtype=pl.Float64, nullable=True)
    return [
        Column(f"{side}_arm", pl.String, f"arm ({side})", "text", f"Arm that is compared: {words}.", nullable=True),
        number(f"{side}_id_map", heading="balanced mAP", format="number", meaning="Balanced mAP of that arm on test."),
        number(
            f"{side}_delta", heading=words, format="signed", meaning=f"Difference of balanced mAP on test, {words}."
        ),
        number(
            f"{side}_low", heading="lower end", format="signed", meaning="Lower end of the interval of the difference."
        ),
        number(
            f"{side}_high", heading="upper end", format="signed", meaning="Upper end of the interval of the difference."
        ),
        number(
            f"{side}_smallest_detectable",
            heading="smallest detectable",
            format="number",
            meaning="Difference that this comparison would find with 80 % power.",
        ),
        Column(f"{side}_verdict", pl.String, "verdict", "verdict", "Verdict on the difference.", nullable=True),
        Span(
            f"{side}_interval", (f"{side}_low", f"{side}_high"), "interval", "interval", "Interval of the difference."
        ),
    ]


PARTS = Contract(
    "parts of an experiment",
    [
        Column("path", pl.String, "key", "text", "Key of the run spec that the part belongs to."),
        Column("part", pl.String, "part", "text", "Name of the part."),
        Column("why", pl.String, "why", "text", "Invariance that the part is meant to give."),
        *(each for side, words in SIDES.items() for each in _side(side, words)),
    ],
)
STRENGTHS = Contract(
    "strengths of parts",
    [
        Column("part", pl.String, "part", "text", "Name of the part."),
        Column("position", pl.Int64, "position", "count", "0: without the part; then the strengths in their order."),
        Column("label", pl.String, "strength", "text", "Parameters that set the strength."),
        Column("declared", pl.Boolean, "of its arm", "yes_no", "Whether the part's arm has this strength."),
        *columns("id_map", "val_id_map"),
        column("id_map_by_seed").but(nullable=False),
        column("val_id_map_by_seed").but(nullable=False),
    ],
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
    return {name: row[names.get(name, name)] for name in _SIDE}


def _left_out(row: dict[str, Any] | None, everything: str | None) -> dict[str, Any]:
    """Return the comparison of all parts with all but this one, the opposite of that of the arm."""
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
            {"part": part, "position": 0, "label": WITHOUT, "declared": False}
            | _scores(metrics, experiment.file.baseline)
        )
        for position, one in enumerate(known[part].tried, start=1):
            row = {"part": part, "position": position, "label": one.label, "declared": one.declared}
            made.append(row | _scores(tried, known[part].arm_of(one)))
    return pl.DataFrame(made, schema=STRENGTHS.columns)


def _scores(metrics: pl.DataFrame, arm: str) -> dict[str, Any]:
    own, found = metrics.filter(pl.col("arm") == arm), {}
    for name in ("id_map", "val_id_map"):
        values = own[name].to_list()
        whole = values and all(value is not None for value in values)
        found |= {name: statistics.fmean(values) if whole else None, f"{name}_by_seed": values}
    return found
