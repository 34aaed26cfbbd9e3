"""Blocks: tables as a page, Markdown and LaTeX show them, derived from a frame and the columns to show."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.columns import columns as shared_columns
from reidflow.tables.comparisons import controlled
from reidflow.tables.text import FORMATS, NOTHING, count, magnitude, share, yes_no

yes = yes_no
__all__ = ["Block", "block", "block_of", "blocks", "count", "magnitude", "share", "tuned_paths", "yes"]


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


RESULT = (
    "arm", "id_map", "id_map_std", "delta", "interval", "p_holm", "verdict", "ties_with_best", "smallest_detectable", "note",
)  # fmt: skip
AGAINST = (
    "arm", "against", "against_delta", "against_interval", "against_p_holm", "against_verdict", "against_smallest_detectable",
)  # fmt: skip
SCORES = (
    "arm", "id_map_by_seed", "val_id_map", "chance", "id_map_unfiltered", "id_map_untrained", "map", "top1", "top5", "top10",
    "map_at_r", "nmi",
)  # fmt: skip
TRAINING = (
    "arm",
    "train_images",
    "steps",
    "parameters",
    "trainable_parameters",
    "loss_parameters",
    "flops",
    "train_flops",
)
STABILITY = (
    "arm", "divergence", "below_untrained", "id_map_std", "gradient_norm", "gradient_norm_max", "epochs_to_95",
    "epochs_to_best",
)  # fmt: skip
MEASURED = ("arm", "seconds_train", "images_per_second", "peak_memory_mb", "device")
SPEED = ("arm", "latency_ms", "latency_quartiles", "throughput", "throughput_quartiles", "batch")


def blocks(results: pl.DataFrame, efficiency: pl.DataFrame) -> list[Block]:
    """Return the blocks of an experiment's tables RESULTS and EFFICIENCY, in the order in which they are read."""
    found = [block("Result", results, RESULT)]
    compared = controlled(results)
    if compared.height:
        found.append(block("Against their controls", compared, AGAINST))
    found += [block("Scores", results, SCORES), block("Training and size", results, TRAINING)]
    found.append(block("Stability", results, STABILITY))
    paths = tuned_paths(results)
    if paths:
        found.append(block("Tuned settings, chosen on validation", results, _tuned(paths)))
    found.append(block("Measured on this machine", efficiency, MEASURED))
    timed = efficiency.filter(pl.col("latency_ms").is_not_null())
    if timed.height:
        found.append(block("Speed of the backbone on this machine, forward, medians after a warm-up", timed, SPEED))
    return found


def tuned_paths(results: pl.DataFrame) -> list[str]:
    """Return the dotted paths of the tuned settings of a results table, in the order of the experiment."""
    return [column.removeprefix("chosen_") for column in results.columns if column.startswith("chosen_")]


def _tuned(paths: list[str]) -> list[str | Column]:
    found: list[str | Column] = ["arm"]
    for path in paths:
        chosen = f"Value of `{path}` that the arm chose on validation."
        edge = f"Whether that value of `{path}` lies at the edge of its grid, so that a better one may lie beyond."
        found.append(Column(f"chosen_{path}", pl.String, path, "setting", chosen, nullable=True))
        found.append(Column(f"on_edge_{path}", pl.Boolean, f"{path} on the grid's edge", "yes_no", edge, nullable=True))
    return [*found, "sensitivity_range", "near_best_of", "sensitivity"]
