"""All arms of all experiments in one table that says which rows may be compared."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from reidflow.spec.canonical import short
from reidflow.store.atomic import write_text
from reidflow.store.tables import Contract, write_table
from reidflow.tables.export import csv_of, markdown_block
from reidflow.tables.layout import Block, yes
from reidflow.tables.text import listed, markdown, number
from reidflow.tables.versions import mixed

LEADERBOARD = Contract(
    "leaderboard",
    {
        "group": pl.String,
        "rank": pl.Int64,
        "experiment": pl.String,
        "arm": pl.String,
        "baseline": pl.Boolean,
        "id_map": pl.Float64,
        "id_map_std": pl.Float64,
        "seeds": pl.Int64,
        "chance": pl.Float64,
        "comparable": pl.String,
        "key": pl.String,
        "data_set": pl.String,
        "gallery": pl.String,
        "leaking": pl.Boolean,
        "versions": pl.String,
    },
    nullable=frozenset({"group", "rank", "id_map", "id_map_std", "chance", "key", "versions"}),
)
_KEY = {"data": "data set", "split": "split", "gallery": "gallery", "evaluated": "evaluated images"}
NO_CLAIM = (
    "Ranks order means of rows with the same data set, split, gallery and evaluated images. They are no claim: which arms "
    "differ is said by each experiment's own table, and no differences are taken across experiments."
)


def leaderboard(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the leaderboard of the results tables of experiments (name -> RESULTS table).

    Rows with the same key (digest of data set, split, gallery and evaluated images) form a group A, B, ..., the largest
    first; ranks are given within a group, equal means share one. Rows without a score have no group.
    """
    rows = [row for results in tables.values() for row in results.to_dicts()]
    keys = [short([row[c] for c in _KEY]) if row["id_map"] is not None else None for row in rows]
    members: dict[str, list[dict]] = {}
    for key, row in zip(keys, rows, strict=True):
        if key is not None:
            members.setdefault(key, []).append(row)
    order = sorted(members, key=lambda key: -len(members[key]))
    letters = {key: _letters(place) for place, key in enumerate(order)}
    board = [
        {**{c: row.get(c) for c in LEADERBOARD.columns}, **_place(key, row, members, order, letters)}
        for key, row in zip(keys, rows, strict=True)
    ]
    places = {letter: place for place, letter in enumerate(letters.values())}
    board.sort(key=lambda row: (places.get(row["group"], len(places)), row["rank"] or 0))
    return pl.DataFrame(board, schema=LEADERBOARD.columns)


def _place(
    key: str | None, row: dict, members: dict[str, list[dict]], order: list[str], letters: dict[str, str]
) -> dict:
    if key is None:
        return {
            "group": None,
            "rank": None,
            "key": None,
            "comparable": f"with none: {row['note'] or 'it has no score'}",
        }
    above = sum(other["id_map"] > row["id_map"] for other in members[key])
    return {
        "group": letters[key],
        "rank": above + 1,
        "key": key,
        "comparable": _comparable(key, members, order, letters),
    }


def _comparable(key: str, members: dict[str, list[dict]], order: list[str], letters: dict[str, str]) -> str:
    """Return with which rows a group may be compared, and why with no other."""
    own = members[key][0]
    others = []
    for other in order:
        if other != key:
            differs = [name for column, name in _KEY.items() if members[other][0][column] != own[column]]
            others.append(f"not with {letters[other]} (another {listed(differs)})")
    return "; ".join([f"within group {letters[key]}", *others])


def _letters(place: int) -> str:
    """Return A to Z, then AA, AB and so on."""
    return (_letters(place // 26 - 1) if place >= 26 else "") + chr(ord("A") + place % 26)


def leaderboard_markdown(board: pl.DataFrame) -> str:
    """Return the leaderboard as Markdown, a table for each group."""
    parts = ["# Leaderboard", NO_CLAIM]
    for group in board["group"].unique(maintain_order=True):
        rows = board.filter(pl.col("group").eq_missing(pl.lit(group, dtype=pl.String)))
        first = rows.row(0, named=True)
        title = (
            "Without a score" if group is None else f"Group {group}: {first['data_set']}, gallery: {first['gallery']}"
        )
        lines = [f"## {markdown(title)}", markdown_block(_block(rows))]
        if group is not None:
            lines.append(f"Comparable {markdown(first['comparable'])}.")
            lines += [f"**Warning:** {sentence}" for sentence in _warnings(rows)]
        parts += lines
    return "\n\n".join(parts) + "\n"


def _warnings(rows: pl.DataFrame) -> list[str]:
    found = []
    if rows["leaking"].any():
        found.append("the split leaks: the same moment stands in two roles, and the scores are too high.")
    differing = mixed(rows["versions"])
    if differing:
        found.append(f"the runs come from different software versions ({', '.join(differing)}).")
    return found


def _block(rows: pl.DataFrame) -> Block:
    headings = ["arm", "experiment", "rank", "id_map", "std", "seeds", "chance", "baseline"]
    cells = [
        [
            row["arm"],
            row["experiment"],
            number(row["rank"]),
            number(row["id_map"]),
            number(row["id_map_std"]),
            str(row["seeds"]),
            number(row["chance"]),
            yes(row["baseline"]),
        ]
        for row in rows.to_dicts()
    ]
    if rows["group"].null_count() == rows.height:
        return Block(
            "", ["arm", "experiment", "why"], [[r["arm"], r["experiment"], r["comparable"]] for r in rows.to_dicts()]
        )
    return Block("", headings, cells)


def write_leaderboard(board: pl.DataFrame, stem: Path) -> None:
    """Write `<stem>.parquet`, `<stem>.csv` and `<stem>.md`."""
    write_table(board, stem.with_name(stem.name + ".parquet"), LEADERBOARD)
    write_text(stem.with_name(stem.name + ".csv"), csv_of(board))
    write_text(stem.with_name(stem.name + ".md"), leaderboard_markdown(board))
