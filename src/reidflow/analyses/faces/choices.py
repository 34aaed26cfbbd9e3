"""Automatic choice of the architecture: by validation accuracy, and by retrieval on held-out identities."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import polars as pl

from reidflow.analyses.faces.tables import SIDE
from reidflow.store.tables import Column, Contract
from reidflow.tables.arms import known, mean
from reidflow.tables.columns import column, columns

VALIDATION, HELD_OUT = "validation accuracy", "retrieval on held-out identities"
RULES = (VALIDATION, HELD_OUT)
"""Top-10 accuracy on the split's validation images; mAP on validation images of identities that were not trained on."""
LABEL = "held_out"
"""The split of `also_on` whose validation images show identities that are not trained on."""
CHOICES = Contract(
    "automatic choices of an architecture, ties by a latency measured on this machine",
    [
        SIDE,
        Column("rule", pl.String, "rule", "text", "What the choice is made by; both on validation images."),
        column("seed").but(meaning="Training seed; none: the mean over seeds.", nullable=True),
        Column("architecture", pl.String, "architecture", "text", "Backbone."),
        *columns("arm"),
        Column("value", pl.Float64, "value", "number", "Top-10 accuracy, or mAP on held-out identities."),
        Column("tied", pl.Boolean, "tied", "yes_no", "Whether it has the highest value with others."),
        column("latency_ms"),
        Column("picked", pl.Boolean, "chosen", "yes_no", "Whether it is chosen: highest value, of several the lowest latency."),
        column("score").but(meaning="Score on test, of the seed or the mean over seeds."),
    ],
)  # fmt: skip
EQUAL = 1e-12
"""Values that differ by less are equal: rounding of sums."""
ALL_SEEDS = None


class Values(NamedTuple):
    """Values of the rules, arm -> seed -> value, and arm -> latency of one image in ms."""

    validation: Mapping[str, Mapping[int, float]]
    held_out: Mapping[str, Mapping[int, float]]
    latency: Mapping[str, float]


def values_of(
    validated: pl.DataFrame, also_on: pl.DataFrame | None, efficiency: pl.DataFrame, label: str = LABEL
) -> Values:
    """Return the values of the rules from VALIDATED, ALSO_ON (None where there is none) and EFFICIENCY."""
    other = {} if also_on is None else _by_seed(also_on.filter(pl.col("label") == label), "val_id_map")
    latency = {arm: value for arm, value in efficiency.select("arm", "latency_ms").iter_rows() if value is not None}
    return Values(_by_seed(validated, "top10"), other, latency)


def choices_table(architectures: pl.DataFrame, metrics: pl.DataFrame, values: Values) -> pl.DataFrame:
    """Return CHOICES: by side, rule, seed (the mean over seeds first) and architecture.

    architectures: ARCHITECTURES; those without runs are no candidates. A rule with fewer than two candidates, or without
    a seed that all of them share, has no row.
    """
    seeds = {arm: own["seed"].to_list() for (arm,), own in metrics.partition_by("arm", as_dict=True).items()}
    rows = []
    for (side,), own in architectures.partition_by("side", as_dict=True, maintain_order=True).items():
        candidates = [row for row in own.to_dicts() if row["score"] is not None]
        for rule, found in zip(RULES, values[:2], strict=True):
            able = [row for row in candidates if found.get(row["arm"])]
            for seed in _shared_seeds([found[row["arm"]] for row in able]) if len(able) > 1 else ():
                rows += _choice(side, rule, seed, able, found, values.latency, seeds)
    return pl.DataFrame(rows, schema=CHOICES.columns)


def picks(choices: pl.DataFrame, side: str, rule: str) -> dict[int | None, dict]:
    """Return seed (None: the mean over seeds) -> the row of the architecture that a rule chooses."""
    own = choices.filter((pl.col("side") == side) & (pl.col("rule") == rule) & pl.col("picked"))
    return {row["seed"]: row for row in own.to_dicts()}


def highest(choices: pl.DataFrame, side: str, rule: str) -> dict[int | None, list[dict]]:
    """Return seed (None: the mean over seeds) -> the rows with the highest value; latency decides between several."""
    found: dict[int | None, list[dict]] = {}
    for row in choices.filter((pl.col("side") == side) & (pl.col("rule") == rule)).to_dicts():
        found.setdefault(row["seed"], []).append(row)
    return {seed: [row for row in rows if row["tied"] or row["picked"]] for seed, rows in found.items()}


def _choice(
    side: str,
    rule: str,
    seed: int | None,
    able: list[dict],
    found: Mapping[str, Mapping[int, float]],
    latency: Mapping[str, float],
    seeds: Mapping[str, list[int]],
) -> list[dict]:
    values = {row["arm"]: mean(found[row["arm"]].values()) if seed is None else found[row["arm"]][seed] for row in able}
    highest = max(values.values())
    best = [arm for arm, value in values.items() if highest - value <= EQUAL]
    picked = min(best, key=lambda arm: (latency.get(arm, float("inf")), list(values).index(arm)))
    return [
        {
            "side": side,
            "rule": rule,
            "seed": seed,
            "architecture": row["architecture"],
            "arm": row["arm"],
            "value": values[row["arm"]],
            "tied": row["arm"] in best and len(best) > 1,
            "latency_ms": latency.get(row["arm"]),
            "picked": row["arm"] == picked,
            "score": row["score"] if seed is None else _of_seed(row, seeds[row["arm"]], seed),
        }
        for row in able
    ]


def _of_seed(row: dict, seeds: list[int], seed: int) -> float | None:
    return row["score_by_seed"][seeds.index(seed)] if seed in seeds else None


def _shared_seeds(found: list[Mapping[int, float]]) -> Iterable[int | None]:
    """Return ALL_SEEDS and the seeds for which every candidate has a value."""
    shared = [seed for seed in found[0] if all(seed in other for other in found)]
    return [ALL_SEEDS, *shared] if shared else []


def _by_seed(table: pl.DataFrame, column: str) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for arm, seed, value in table.select("arm", "seed", column).iter_rows():
        if known(value) is not None:
            found.setdefault(arm, {})[seed] = value
    return found
