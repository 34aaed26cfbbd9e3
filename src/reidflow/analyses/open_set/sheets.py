"""Contact sheet of suspected individuals: the queries that were called new, a row for each individual they are suspected to show."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from reidflow.figures.contact import ImageRows, Row, write_sheet
from reidflow.figures.style import GREEN, VERMILLION, Heading
from reidflow.tables.text import plural

SHOWN, ACROSS = 15, 10
"""Suspected individuals, and images of each, that are shown at most."""
NEW, KNOWN = "✓", "✗"
LEGEND = [(GREEN, f"{NEW} new individual"), (VERMILLION, f"{KNOWN} known individual, called new")]


def suspects_sheet(
    images: ImageRows,
    unknowns: pl.DataFrame,
    arms: Sequence[str],
    heading: Heading,
    out: str | Path,
    *,
    tile: int = 104,
) -> None:
    """Write the suspected individuals of the largest number of images. unknowns: UNKNOWNS; arms: whose are shown."""
    own = unknowns.filter(pl.col("arm").is_in(list(arms)) & pl.col("suspected").is_not_null())
    rows = []
    for (name,), part in own.group_by(["suspected"], maintain_order=True):
        tiles = [
            images.tile(
                row["image"], row["identity"], GREEN if row["new"] else VERMILLION, NEW if row["new"] else KNOWN
            )
            for row in part.head(ACROSS).to_dicts()
        ]
        count = part["identity"].n_unique()
        words = [name, plural(len(part), "image"), plural(count, "true individual")]
        rows.append((int(name.rpartition(" ")[2]), Row(tiles, words)))
    rows.sort(key=lambda row: row[0])
    words = f"the largest {min(SHOWN, len(rows))} of {len(rows)} ({', '.join(arms)}, first seed)" if rows else "none"
    subtitle = " · ".join(part for part in (heading.subtitle, words) if part.strip())
    write_sheet([row for _, row in rows[:SHOWN]], out, Heading(heading.title, subtitle), tile, LEGEND)
