"""All arms of all experiments in one table that says which rows may be compared."""

import re
from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from reidflow.spec.canonical import short
from reidflow.store.tables import Column, Contract
from reidflow.tables.columns import columns
from reidflow.tables.data import mixed_versions
from reidflow.tables.export import markdown_block
from reidflow.tables.layout import Block, block, gallery_rule, with_filters
from reidflow.tables.text import listed, markdown

COMPARABLE = Column("comparable", pl.String, "comparable", "text", "Which rows this row may be compared with.")
LEADERBOARD = Contract(
    "leaderboard",
    [
        Column("group", pl.String, "group", "text", "Letter of the rows that may be ranked together.", nullable=True),
        Column(
            "rank",
            pl.Int64,
            "rank",
            "count",
            "Rank by balanced mAP within the group; equal means share one.",
            nullable=True,
        ),
        *columns("experiment", "arm", "baseline", "id_map", "id_map_std", "seeds", "chance"),
        COMPARABLE,
        Column(
            "key",
            pl.String,
            "key",
            "text",
            "Digest of data set, split, gallery, filters and evaluated images.",
            nullable=True,
        ),
        *columns("data_set", "gallery", "filters", "leaking", "versions"),
    ],
)
_KEY = {
    "data": "data set",
    "split": "split",
    "gallery": "gallery",
    "filters": "choice of filters",
    "evaluated": "evaluated images",
}
NO_CLAIM = (
    "Ranks order the means of rows with the same data set, split, gallery, filters and evaluated images. They claim no significance: "
    "which arms are significantly different is stated in each experiment's own table, and no differences are taken across "
    "experiments."
)


def leaderboard(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the leaderboard of the results tables of experiments (name -> RESULTS table).

    Rows with the same key (digest of data set, split, gallery, filters and evaluated images) form a group A, B, ..., the largest
    first; ranks are given within a group, equal means share one. Rows without a score have no group.
    """
    rows = [row for results in tables.values() for row in results.to_dicts()]
    keys = [short([row[c] for c in _KEY]) if row["id_map"] is not None else None for row in rows]
    members: dict[str, list[dict]] = {}
    for key, row in zip(keys, rows, strict=True):
        if key is not None:
            members.setdefault(key, []).append(row)
    order = sorted(members, key=lambda key: -len(members[key]))
    letters = {key: _letters(index) for index, key in enumerate(order)}
    found = [
        {**{c: row.get(c) for c in LEADERBOARD.columns}, **_ranked(key, row, members, order, letters)}
        for key, row in zip(keys, rows, strict=True)
    ]
    position = {letter: index for index, letter in enumerate(letters.values())}
    found.sort(key=lambda row: (position.get(row["group"], len(position)), row["rank"] or 0))
    return pl.DataFrame(found, schema=LEADERBOARD.columns)


def _ranked(
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


def _letters(index: int) -> str:
    """Return A to Z, then AA, AB and so on."""
    return (_letters(index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)


def leaderboard_groups(table: pl.DataFrame) -> list[tuple[Block, list[str]]]:
    """Return the leaderboard as a table for each group, with the sentences that belong below it."""
    found = []
    for group in table["group"].unique(maintain_order=True):
        rows = table.filter(pl.col("group").eq_missing(pl.lit(group, dtype=pl.String)))
        first = rows.row(0, named=True)
        if group is None:
            found.append((replace(_block(rows), title="Without a score"), []))
            continue
        title = f"Group {group}: {first['data_set']}, gallery: {gallery_rule(first['gallery'], first['filters'])}"
        found.append((replace(_block(rows), title=title), [f"Comparable {first['comparable']}.", *_warnings(rows)]))
    return found


def leaderboard_markdown(table: pl.DataFrame) -> str:
    """Return the leaderboard as Markdown, a table for each group."""
    parts = ["# Leaderboard", NO_CLAIM]
    for own, sentences in leaderboard_groups(table):
        parts += [f"## {markdown(own.title)}", markdown_block(own)]
        parts += [re.sub(r"^Warning:", "**Warning:**", markdown(sentence)) for sentence in sentences]
    return "\n\n".join(parts) + "\n"


def _warnings(rows: pl.DataFrame) -> list[str]:
    found = []
    if rows["leaking"].any():
        found.append("Warning: the split leaks: the same moment is in two roles, and the scores are too high.")
    differing = mixed_versions(rows["versions"])
    if differing:
        found.append(f"Warning: the runs come from different software versions ({', '.join(differing)}).")
    return found


def _block(rows: pl.DataFrame) -> Block:
    if rows["group"].null_count() == rows.height:
        return block("", rows, ["arm", "experiment", COMPARABLE.but(heading="reason")])
    shown = ["arm", "rank", "id_map", "experiment", "id_map_std", "seeds", "chance", "baseline"]
    return with_filters(block("", rows, shown, LEADERBOARD), rows)
