"""Which columns of a table stand together on a page, under which heading, and how each is printed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from reidflow.tables.controls import controlled
from reidflow.tables.text import NOTHING, interval, number, probability, setting, signed


@dataclass(frozen=True)
class Block:
    """A page-wide part of a table: headings and cells of plain, unescaped text; the first column is the arm."""

    title: str
    headings: list[str]
    rows: list[list[str]]


def block_of(
    title: str, columns: Mapping[str, Callable[[dict[str, Any]], str]], rows: Iterable[dict[str, Any]]
) -> Block:
    """Return a block of rows. columns: heading -> what its cell shows of a row."""
    return Block(title, list(columns), [[show(row) for show in columns.values()] for row in rows])


def yes(value: bool | None) -> str:
    """Return a yes-or-no value as a word."""
    return "–" if value is None else "yes" if value else "no"


def share(value: float | None) -> str:
    """Return a share as a percentage."""
    return "–" if value is None else f"{value:.0%}"


def count(value: float | None) -> str:
    """Return a count with thousands set apart; a mean of counts with one decimal where it is not whole."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def magnitude(value: float | None) -> str:
    """Return a number whose size is unknown in three significant digits."""
    return NOTHING if value is None else f"{value:.3g}"


def near_best(row: dict[str, Any]) -> str:
    """Return how many points of the grid lie near the best one, and of how many."""
    return NOTHING if row["near_best"] is None else f"{row['near_best']} of {len(row['sensitivity'])}"


def numbers(values: list[float | None] | None) -> str:
    """Return several numbers on one line."""
    return "–" if values is None else " ".join(number(value) for value in values)


def sensitivity(points: list[dict[str, Any]] | None) -> str:
    """Return the mean validation score at every grid point on one line."""
    return "–" if points is None else "; ".join(f"{p['point']}: {number(p['val_id_map'])}" for p in points)


def between(low: float | None, high: float | None, digits: int) -> str:
    """Return the ends of a spread on one line."""
    return "–" if low is None or high is None else f"{number(low, digits)} to {number(high, digits)}"


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
    columns["points within 95% of the best"] = near_best
    return {**columns, "mean validation id_map at each point": lambda row: sensitivity(row["sensitivity"])}


def _block(title: str, columns: dict[str, Callable[[dict], str]], rows: list[dict]) -> Block:
    """Return the block, without a note, or training FLOPs, that say nothing."""
    cells = block_of(title, columns, rows).rows
    silent = {"note": "", "train_flops": NOTHING}
    keep = [i for i, name in enumerate(columns) if name not in silent or any(row[i] != silent[name] for row in cells)]
    return Block(title, [list(columns)[i] for i in keep], [[row[i] for i in keep] for row in cells])
