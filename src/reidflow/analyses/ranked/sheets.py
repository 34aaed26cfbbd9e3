"""Contact sheets of queries with their best candidates, positives and negatives marked."""

from pathlib import Path

import polars as pl

from reidflow.analyses.ranked.tables import examples
from reidflow.evaluation.ranked_runs import scored_queries
from reidflow.figures.contact import ImageRows, Row, Tile, write_sheet
from reidflow.figures.style import GREEN, INK, VERMILLION, Heading
from reidflow.tables.text import number, plural

RIGHT, WRONG = "✓", "✗"
LEGEND = [(INK, "query"), (GREEN, f"{RIGHT} positive"), (VERMILLION, f"{WRONG} negative")]
SHOWN = 20
"""Identities on the sheet of worst queries, at most."""


def ranked_sheet(
    images: ImageRows,
    ranked: pl.DataFrame,
    per_query: pl.DataFrame,
    heading: Heading,
    out: str | Path,
    *,
    tile: int = 104,
) -> None:
    """Write a few queries with their best candidates: a row per arm of RANKED, one below the other.

    The queries are quantiles of the average precision in the last of these arms. per_query: PER_QUERY of the experiment.
    """
    runs = list(ranked.select("arm", "seed").unique(maintain_order=True).iter_rows())
    rows = []
    if runs:
        known = {run: {row["image"]: row for row in scored_queries(per_query, *run).to_dicts()} for run in runs}
        for quantile, query in examples(scored_queries(per_query, *runs[-1])):
            for arm, seed in runs:
                found = known[arm, seed].get(query["image"])
                if found is not None:
                    own = _of(ranked, arm, seed, query["image"])
                    rows.append(Row(_tiles(images, query, own), [f"{quantile} query", arm, _caption(found)]))
    last = f"best to worst query of {runs[-1][0]}, seed {runs[-1][1]}" if runs else "no query can be scored"
    write_sheet(rows, out, Heading(heading.title, _joined(heading.subtitle, last)), tile, LEGEND)


def worst_sheet(
    images: ImageRows,
    ranked: pl.DataFrame,
    worst: pl.DataFrame,
    heading: Heading,
    out: str | Path,
    *,
    most: int = SHOWN,
    tile: int = 104,
) -> None:
    """Write the worst query of each identity with its best candidates, the hardest identity first.

    worst: WORST, of which the last arm is shown. most: number of identities that are shown.
    """
    arms = worst["arm"].unique(maintain_order=True).to_list()
    own = worst.filter(pl.col("arm") == arms[-1]).to_dicts() if arms else []
    rows = []
    for row in own[:most]:
        tiles = _tiles(
            images,
            {"image": row["query"], "identity": row["identity"]},
            _of(ranked, row["arm"], row["seed"], row["query"]),
        )
        mean = f"{plural(row['queries'], 'query', 'queries')}, mean AP {row['identity_ap']:.2f}"
        rows.append(Row(tiles, [row["identity"], mean, _caption(row)]))
    count = f"the {most} hardest of {len(own)} identities" if len(own) > most else f"all {len(own)} identities"
    words = f"worst query of {count} ({own[0]['arm']}, seed {own[0]['seed']})" if own else "no query can be scored"
    write_sheet(rows, out, Heading(heading.title, _joined(heading.subtitle, words)), tile, LEGEND)


def _of(ranked: pl.DataFrame, arm: str, seed: int, query: str) -> pl.DataFrame:
    return ranked.filter((pl.col("arm") == arm) & (pl.col("seed") == seed) & (pl.col("query") == query)).sort("rank")


def _tiles(images: ImageRows, query: dict, found: pl.DataFrame) -> list[Tile]:
    """Return the query, then its candidates in the order of their rank."""
    tiles = [images.tile(query["image"], query["identity"], INK)]
    for row in found.to_dicts():
        colour, mark = (GREEN, RIGHT) if row["right"] else (VERMILLION, WRONG)
        tiles.append(
            images.tile(row["image"], f"{row['identity'] or 'distractor'} {number(row['similarity'], 2)}", colour, mark)
        )
    return tiles


def _caption(query: dict) -> str:
    rank = "" if query["first_hit"] is None else f", first match at {query['first_hit']}"
    return f"AP {query['ap']:.2f}{rank}"


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part.strip())
