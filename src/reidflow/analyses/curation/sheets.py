"""Contact sheets of a curation experiment: the most and the least valuable images, and the extremes of every score."""

from pathlib import Path

import numpy as np
import polars as pl

from reidflow.analyses.curation.tables import Curation
from reidflow.figures.contact import Row, Tile, write_sheet
from reidflow.figures.style import BLUE, ORANGE, Heading
from reidflow.figures.text import magnitude

ACROSS, ENDS = 8, 5
"""Images in a row of the valuable ones, and at each end of a score."""
REPRESENTATIVE = ("facility_location", "representativeness")
QUALITY = "quality"
NOISE = 1e-6
"""Values closer to zero are rounding."""


def valuable_sheet(
    images: np.ndarray, found: Curation, arms: pl.DataFrame, heading: Heading, out: str | Path, *, tile: int = 112
) -> None:
    """Write the most and the least valuable images: by the number of subsets that hold them, by representativeness and by quality.

    images: (N, H, W, 3) uint8, row i being row i of the manifest. arms: the ARMS table. Subsets are those of
    all arms apart from random samples; arms that keep the same images for another number of steps count once.
    """
    ranked = {}
    votes = _votes(found, arms)
    if votes is not None:
        ranked["in most subsets"] = votes
    for name in [name for name in REPRESENTATIVE if name in found.names][:1]:
        ranked["most representative"] = _ranked(found, name)
    if QUALITY in found.names:
        ranked["best in quality"] = _ranked(found, QUALITY)
    opposite = {
        "in most subsets": "in fewest subsets",
        "most representative": "least representative",
        "best in quality": "worst in quality",
    }
    rows = []
    for words, order in ranked.items():
        measure = "share of the subsets" if words.startswith("in most") else "score"
        rows.append(Row(_tiles(images, found, order[:ACROSS], BLUE), [words, measure]))
        rows.append(Row(_tiles(images, found, order[-ACROSS:][::-1], ORANGE), [opposite[words], measure]))
    subtitle = " · ".join(part for part in (heading.subtitle, f"{found.scores.height} training images") if part.strip())
    write_sheet(
        rows, out, Heading(heading.title, subtitle), tile, [(BLUE, "most valuable"), (ORANGE, "least valuable")]
    )


def _votes(found: Curation, arms: pl.DataFrame) -> list[tuple[str, str, float]] | None:
    """Return (image, identity, share of the subsets that hold it), the largest first; None without a subset."""
    chosen = arms.filter(pl.col("method").is_not_null() & (pl.col("draws") == 1)).unique(
        ["label", "share"], keep="first", maintain_order=True
    )
    lists = [draw for arm in chosen["arm"] for draw in found.draws(arm)]
    if not lists:
        return None
    total = pl.concat(draw.select("image", "kept") for draw in lists).group_by("image").agg(pl.col("kept").mean())
    votes = dict(total.iter_rows())
    quality = (
        {image: rank for rank, (image, *_) in enumerate(_ranked(found, QUALITY))} if QUALITY in found.names else {}
    )
    rows = [
        (image, who, float(votes.get(image, 0.0)))
        for image, who in found.scores.select("image", "identity").iter_rows()
    ]
    return sorted(rows, key=lambda row: (-row[2], quality.get(row[0], 0), row[0]))


def _ranked(found: Curation, score: str) -> list[tuple[str, str, float]]:
    """Return (image, identity, value) of the images with a known score, the highest first."""
    known = found.scores.filter(pl.col(score).is_finite()).sort(-pl.col(score), "image", maintain_order=True)
    return known.select("image", "identity", score).rows()


def _tiles(images: np.ndarray, found: Curation, rows: list[tuple[str, str, float]], colour: str) -> list[Tile]:
    return [
        Tile(images[found.rows[image]], f"{who} {magnitude(value if abs(value) >= NOISE else 0.0)}", colour)
        for image, who, value in rows
    ]


def scores_sheet(images: np.ndarray, found: Curation, heading: Heading, out: str | Path, *, tile: int = 96) -> None:
    """Write for every score the images at its extremes: the highest from the left, then the lowest.

    images: (N, H, W, 3) uint8, row i being row i of the manifest. No image is at both ends.
    """
    rows = []
    for score in found.names:
        order = _ranked(found, score)
        ends = min(ENDS, max(1, len(order) // 2))
        lowest = order[max(ends, len(order) - ends) :]
        tiles = [*_tiles(images, found, order[:ends], BLUE), *_tiles(images, found, lowest, ORANGE)]
        unknown = found.scores.height - len(order)
        rows.append(Row(tiles, [score.replace("_", " "), *([f"unknown for {unknown} images"] if unknown else [])]))
    write_sheet(rows, out, heading, tile, [(BLUE, "highest"), (ORANGE, "lowest")])
