"""The tables of a search as they are printed."""

from collections.abc import Callable, Sequence

import polars as pl

from reidflow.analyses.search.tables import value_text
from reidflow.spec.search import Axis
from reidflow.tables.layout import Block, block_of, count, magnitude, share
from reidflow.tables.text import NOTHING, interval, number, probability, signed

_BUDGET: dict[str, Callable[[dict], str]] = {
    "study": lambda row: row["study"],
    "algorithm": lambda row: row["algorithm"],
    "axes": lambda row: count(row["axes"]),
    "budget": lambda row: f"the steps of {row['matched_to']}" if row["matched_to"] else "trials",
    **{name: lambda row, name=name: count(row[name]) for name in ("trials", "complete", "pruned", "diverged", "steps")},
    "training FLOPs": lambda row: magnitude(row["train_flops"]),
    "finalists": lambda row: count(row["finalists"]),
}
_WINNERS: dict[str, Callable[[dict], str]] = {
    "study": lambda row: row["study"],
    "trial": lambda row: count(row["winner"]),
    "settings": lambda row: row["winner_settings"] or NOTHING,
    "best value": lambda row: number(row["best_value"]),
    "value when chosen": lambda row: number(row["chosen_value"]),
    "mean over sweep seeds": lambda row: number(row["sweep_value"]),
    "validation, fresh seeds": lambda row: number(row["val_id_map"]),
    "luck": lambda row: signed(row["luck"]),
    "test, fresh seeds": lambda row: number(row["id_map"]),
}
_TEST: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"] or NOTHING,
    "study": lambda row: row["study"],
    "algorithm": lambda row: row["algorithm"],
    "id_map": lambda row: number(row["id_map"]),
    "std": lambda row: number(row["id_map_std"]),
    "delta": lambda row: signed(row["delta"]),
    "interval": lambda row: interval(row["delta_low"], row["delta_high"]),
    "p_holm": lambda row: probability(row["p_holm"]),
    "verdict": lambda row: row["verdict"] or NOTHING,
}
_SECONDS: dict[str, Callable[[dict], str]] = {
    "study": lambda row: row["study"],
    "trials": lambda row: count(row["trials"]),
    "seconds of training, summed over trials": lambda row: number(row["seconds"], 1),
    "device": lambda row: row["device"] or NOTHING,
}
_EFFECTS: dict[str, Callable[[dict], str]] = {
    "axis": lambda row: row["axis"],
    "choice": lambda row: row["label"],
    "trials": lambda row: count(row["trials"]),
    "ended early": lambda row: count(row["pruned"]),
    "mean": lambda row: number(row["mean"]),
    "best": lambda row: number(row["best"]),
    "mean rank": lambda row: number(row["mean_rank"], 1),
    "standing": lambda row: number(row["standing"], 2),
    "effect": lambda row: signed(row["effect"], 2),
    "interval": lambda row: interval(row["low"], row["high"], 2),
    "p": lambda row: probability(row["p"]),
    "verdict": lambda row: row["verdict"],
}


def budget_block(rows: list[dict]) -> Block:
    """Return what each study spent. rows: of SEARCH."""
    return block_of("Budget", _BUDGET, rows)


def winners_block(rows: list[dict]) -> Block:
    """Return what each study found, with its value each time it was measured. rows: of SEARCH."""
    return block_of("Winners", _WINNERS, rows)


def on_test_block(rows: list[dict]) -> Block:
    """Return the winners on test. rows: of SEARCH."""
    return block_of("On test", _TEST, rows)


def seconds_block(efficiency: pl.DataFrame) -> Block:
    """Return what the studies took. efficiency: SEARCH_EFFICIENCY."""
    return block_of("Measured on this machine", _SECONDS, efficiency.to_dicts())


def effects_block(effects: pl.DataFrame) -> Block:
    """Return the marginal effects."""
    return block_of("Marginal effects", _EFFECTS, effects.to_dicts())


def importance_block(importances: pl.DataFrame, methods: dict[str, str]) -> Block:
    """Return the share of each axis by study and method; with how often shuffled trials give as much, where known."""
    columns = list(dict.fromkeys(importances.select("study", "method").iter_rows()))
    cells = {(r["study"], r["method"], r["axis"]): r for r in importances.to_dicts()}
    rows = []
    for axis in dict.fromkeys(importances["axis"]):
        rows.append([axis, *(_share(cells.get((study, method, axis))) for study, method in columns)])
    return Block("Importances", ["axis", *(f"{study}: {methods[method]}" for study, method in columns)], rows)


def _share(row: dict | None) -> str:
    if row is None:
        return NOTHING
    return share(row["share"]) if row["chance"] is None else f"{share(row['share'])} (p {probability(row['chance'])})"


def ten_block(ten: list[dict], axes: Sequence[Axis]) -> Block:
    """Return the best trials with their settings. ten: rows of TRIALS."""
    rows = [
        [
            row["study"],
            count(row["trial"]),
            number(row["value"]),
            *(NOTHING if row[axis.name] is None else value_text(row[axis.name]) for axis in axes),
        ]
        for row in ten
    ]
    return Block("The ten best trials", ["study", "trial", "value", *(axis.name for axis in axes)], rows)
