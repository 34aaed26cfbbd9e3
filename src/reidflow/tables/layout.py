"""Blocks: tables as a page, Markdown and LaTeX show them, derived from a frame and the columns to show."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.columns import columns as shared_columns
from reidflow.tables.controls import controlled
from reidflow.tables.text import (
    FORMATS,
    NOTHING,
    between,
    count,
    interval,
    magnitude,
    near_best,
    number,
    numbers,
    probability,
    setting,
    share,
    signed,
)
from reidflow.tables.text import grid as sensitivity
from reidflow.tables.text import yes_no as yes


@dataclass(frozen=True)
class Block:
    """A table for people: headings and cells of plain, unescaped text; the first column names the row.

    meanings, formats: of each column (a sentence, a name in `text.FORMATS`); empty where the table declares none.
    """

    title: str
    headings: list[str]
    rows: list[list[str]]
    meanings: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)


def block(
    title: str,
    rows: pl.DataFrame | Iterable[Mapping[str, Any]],
    names: Contract | Sequence[str | Column | Span],
    contract: Contract | None = None,
) -> Block:
    """Return the block of a table: headings, cells and meanings come from the columns.

    names: the columns to show, in order: names of columns and spans of `contract`, or of the shared table of columns, or
    a column or span itself; a contract shows all of its own. A column without a value in any row is left out, apart from
    the first.
    """
    shown = _columns(names, contract)
    table = rows.to_dicts() if isinstance(rows, pl.DataFrame) else list(rows)
    cells = [[FORMATS[c.format](*(row[name] for name in c.fields)) for c in shown] for row in table]
    kept = [i for i in range(len(shown)) if i == 0 or not cells or any(row[i] not in ("", NOTHING) for row in cells)]
    return Block(
        title,
        [shown[i].heading for i in kept],
        [[row[i] for i in kept] for row in cells],
        [shown[i].meaning for i in kept],
        [shown[i].format for i in kept],
    )


def _columns(names: Contract | Sequence[str | Column | Span], contract: Contract | None) -> list[Column | Span]:
    if isinstance(names, Contract):
        return list(names.shown.values())
    own = contract.shown if contract else {}
    return [
        name if not isinstance(name, str) else own[name] if name in own else shared_columns(name)[0] for name in names
    ]


def block_of(
    title: str, columns: Mapping[str, Callable[[dict[str, Any]], str]], rows: Iterable[dict[str, Any]]
) -> Block:
    """Return a block of rows. columns: heading -> what its cell shows of a row."""
    return Block(title, list(columns), [[show(row) for show in columns.values()] for row in rows])


_RESULT: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    "id_map": lambda row: number(row["id_map"]),
    "std": lambda row: number(row["id_map_std"]),
    "delta": lambda row: signed(row["delta"]),
    "interval": lambda row: interval(row["delta_low"], row["delta_high"]),
    "p_holm": lambda row: probability(row["p_holm"]),
    "verdict": lambda row: row["verdict"],
    "ties_with_best": lambda row: yes(row["ties_with_best"]),
    "smallest_detectable": lambda row: number(row["smallest_detectable"]),
    "note": lambda row: row["note"],
}
_AGAINST: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    "against": lambda row: row["against"],
    "delta": lambda row: signed(row["against_delta"]),
    "interval": lambda row: interval(row["against_low"], row["against_high"]),
    "p_holm": lambda row: probability(row["against_p_holm"]),
    "verdict": lambda row: row["against_verdict"],
    "smallest_detectable": lambda row: number(row["against_smallest_detectable"]),
}
_SCORES: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    "id_map of each seed": lambda row: numbers(row["id_map_by_seed"]),
    **{
        name: lambda row, name=name: number(row[name])
        for name in (
            "val_id_map",
            "chance",
            "id_map_unfiltered",
            "id_map_untrained",
            "map",
            "top1",
            "top5",
            "top10",
            "map_at_r",
            "nmi",
        )
    },
}
_TRAINING: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    **{
        name: lambda row, name=name: count(row[name])
        for name in (
            "train_images",
            "steps",
            "parameters",
            "trainable_parameters",
            "loss_parameters",
            "flops",
        )
    },
    "train_flops": lambda row: magnitude(row["train_flops"]),
}
_STABILITY: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    "divergence": lambda row: share(row["divergence"]),
    "below_untrained": lambda row: share(row["below_untrained"]),
    "std": lambda row: number(row["id_map_std"]),
    "gradient_norm": lambda row: magnitude(row["gradient_norm"]),
    "gradient_norm_max": lambda row: magnitude(row["gradient_norm_max"]),
    "epochs_to_95": lambda row: count(row["epochs_to_95"]),
    "epochs_to_best": lambda row: count(row["epochs_to_best"]),
}
_MEASURED: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    "seconds_train": lambda row: number(row["seconds_train"], 2),
    "images_per_second": lambda row: count(row["images_per_second"]),
    "peak_memory_mb": lambda row: count(row["peak_memory_mb"]),
    "device": lambda row: row["device"] or "–",
}
_SPEED: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    "latency of one image, ms": lambda row: number(row["latency_ms"], 2),
    "its quartiles": lambda row: between(row["latency_ms_low"], row["latency_ms_high"], 2),
    "images per second": lambda row: count(row["throughput"]),
    "their quartiles": lambda row: between(row["throughput_low"], row["throughput_high"], 0),
    "in batches of": lambda row: count(row["batch"]),
}


def blocks(results: pl.DataFrame, efficiency: pl.DataFrame) -> list[Block]:
    """Return the parts of an experiment's joined table, in the order in which they are read."""
    rows = results.to_dicts()
    found = [_block("Result", _RESULT, rows)]
    compared = controlled(results).to_dicts()
    if compared:
        found.append(_block("Against their controls", _AGAINST, compared))
    found += [_block("Scores", _SCORES, rows), _block("Training and size", _TRAINING, rows)]
    found.append(_block("Stability", _STABILITY, rows))
    paths = tuned_paths(results)
    if paths:
        found.append(_block("Tuned settings, chosen on validation", _tuned(paths), rows))
    found.append(_block("Measured on this machine", _MEASURED, efficiency.to_dicts()))
    timed = efficiency.filter(pl.col("latency_ms").is_not_null()).to_dicts()
    if timed:
        found.append(_block("Speed of the backbone on this machine, forward, medians after a warm-up", _SPEED, timed))
    return found


def tuned_paths(results: pl.DataFrame) -> list[str]:
    """Return the dotted paths of the tuned settings of a results table, in the order of the experiment."""
    return [column.removeprefix("chosen_") for column in results.columns if column.startswith("chosen_")]


def _tuned(paths: list[str]) -> dict[str, Callable[[dict], str]]:
    columns: dict[str, Callable[[dict], str]] = {"arm": lambda row: row["arm"]}
    for path in paths:
        columns[path] = lambda row, path=path: "–" if row[f"chosen_{path}"] is None else setting(row[f"chosen_{path}"])
        columns[f"{path} on the grid's edge"] = lambda row, path=path: yes(row[f"on_edge_{path}"])
    columns["best minus worst point"] = lambda row: number(row["sensitivity_range"])
    columns["points within 95% of the best"] = lambda row: near_best(row["near_best"], row["sensitivity"])
    return {**columns, "mean validation id_map at each point": lambda row: sensitivity(row["sensitivity"])}


def _block(title: str, columns: dict[str, Callable[[dict], str]], rows: list[dict]) -> Block:
    """Return the block, without a note, or training FLOPs, that say nothing."""
    cells = block_of(title, columns, rows).rows
    silent = {"note": "", "train_flops": NOTHING}
    keep = [i for i, name in enumerate(columns) if name not in silent or any(row[i] != silent[name] for row in cells)]
    return Block(title, [list(columns)[i] for i in keep], [[row[i] for i in keep] for row in cells])
