"""Blocks: tables as a page, Markdown and LaTeX show them, derived from a frame and the columns to show."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.columns import columns as shared_columns
from reidflow.tables.text import FORMATS, NOTHING


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


def gallery_rule(gallery: str, filters: str) -> str:
    """Return the gallery with the filters of the metric: `role, same camera ignored`."""
    return f"{gallery}, {filters}" if filters else gallery


def with_filters(part: Block, rows: pl.DataFrame) -> Block:
    """Return a block whose headings name the filters of the metric, the column `filters` of its rows."""
    filters = rows["filters"].max()
    named = [heading.replace("balanced mAP", f"balanced mAP ({filters})") for heading in part.headings]
    return replace(part, headings=named) if filters else part


def _columns(names: Contract | Sequence[str | Column | Span], contract: Contract | None) -> list[Column | Span]:
    if isinstance(names, Contract):
        return list(names.shown.values())
    own = contract.shown if contract else {}
    return [
        name if not isinstance(name, str) else own[name] if name in own else shared_columns(name)[0] for name in names
    ]
