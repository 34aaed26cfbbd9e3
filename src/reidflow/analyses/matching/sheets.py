"""Contact sheets of pairs of images with their matched keypoints joined by lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image, ImageDraw

from reidflow.figures.contact import BORDER, Row, Tile, write_sheet
from reidflow.figures.style import GREEN, VERMILLION, Heading
from reidflow.tables.text import number, plural

RIGHT, WRONG = "✓", "✗"
DRAWN = 25
"""Matches that are drawn of a pair, the strongest."""
TILE, BETWEEN, SMOOTH = 400, 8, 4
"""Pixels: width of a pair, gap between its images; the lines are drawn so many times larger, then shrunk."""
WEAK, STRONG = (90, 200, 250), (255, 40, 200)
"""Colours of the weakest and of the strongest match, RGB: neither is a colour of coats or of landscapes."""
WIDTHS = 1.0, 2.2
"""Pixels: width of the weakest and of the strongest line."""
CASING = (20, 20, 20, 170)
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Side:
    """One image of a pair: its square (S, S, 3) uint8, matched points (M, 2) in its pixels, and the part that is shown."""

    square: np.ndarray
    points: np.ndarray
    box: Box

    def placed(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the part that is shown, at a width of `width` or less, and no higher, centred, and where its points are."""
        left, top, right, bottom = self.box
        scale = min(width / (right - left), width / (bottom - top))
        size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
        part = Image.fromarray(np.ascontiguousarray(self.square))
        part = part.resize(size, Image.Resampling.LANCZOS, box=self.box)
        canvas = np.full((size[1], width, 3), 255, np.uint8)
        start = (width - size[0]) // 2
        canvas[:, start : start + size[0]] = np.asarray(part)
        # The middle of a pixel is at its whole number, as in OpenCV.
        places = (self.points + 0.5 - (left, top)) * (size[0] / (right - left), size[1] / (bottom - top))
        places[:, 0] += start
        return canvas, places


@dataclass(frozen=True)
class Pair:
    """A query and a candidate with the weights (M,) of their matches."""

    query: Side
    candidate: Side
    weights: np.ndarray

    def strongest(self) -> np.ndarray:
        """Return which matches are drawn, the weakest first."""
        return np.argsort(-self.weights, kind="stable")[:DRAWN][::-1]


def part_with(points: np.ndarray, size: int) -> Box:
    """Return the part of a square of side `size` that holds the points (K, 2), with a margin; all of it without points."""
    if not len(points):
        return 0.0, 0.0, float(size), float(size)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = max(0.08 * float((high - low).max()), size / 32)
    (left, top), (right, bottom) = np.clip([low - margin, high + margin + 1], 0, size).tolist()
    return left, top, right, bottom


def lines(pair: Pair, width: int, largest: float) -> list[tuple[float, float, float, float, float]]:
    """Return the lines of a pair's picture: x and y of the query's point, of the candidate's, and strength, 0 to 1.

    The weakest come first. largest: the weight with strength 1.
    """
    (above, first), (_, second) = pair.query.placed(width), pair.candidate.placed(width)
    down = len(above) + BETWEEN
    return [
        (
            *first[i].tolist(),
            second[i][0].item(),
            second[i][1].item() + down,
            float(min(1.0, pair.weights[i] / largest)),
        )
        for i in pair.strongest()
    ]


def picture(pair: Pair, width: int, largest: float) -> np.ndarray:
    """Return the picture of a pair, (H, width, 3) uint8: the query above the candidate, matches joined by lines."""
    (above, _), (below, _) = pair.query.placed(width), pair.candidate.placed(width)
    gap = np.full((BETWEEN, width, 3), 255, np.uint8)
    image = Image.fromarray(np.concatenate([above, gap, below])).convert("RGBA")
    overlay = Image.new("RGBA", (image.width * SMOOTH, image.height * SMOOTH), (0, 0, 0, 0))
    draw = ImageDraw.Draw(overlay)
    for x, y, other_x, other_y, strength in lines(pair, width, largest):
        ends = [(x * SMOOTH, y * SMOOTH), (other_x * SMOOTH, other_y * SMOOTH)]
        thick = WIDTHS[0] + strength * (WIDTHS[1] - WIDTHS[0])
        for extra, colour in ((1.2, CASING), (0.0, colour_of(strength))):
            draw.line(ends, fill=colour, width=round((thick + extra) * SMOOTH))
            for end in ends:
                draw.circle(end, (thick + 1.2 + extra / 2) * SMOOTH, fill=colour)
    image.alpha_composite(overlay.resize(image.size, Image.Resampling.BOX))
    return np.asarray(image.convert("RGB"))


def colour_of(strength: float) -> tuple[int, ...]:
    """Return the colour of a line, RGB. strength: 0 to 1."""
    return tuple(round(weak + strength * (strong - weak)) for weak, strong in zip(WEAK, STRONG, strict=True))


def hexed(strength: float) -> str:
    """Return the colour of a line as #rrggbb."""
    return "#" + "".join(f"{part:02x}" for part in colour_of(strength))


LEGEND = [
    (GREEN, f"{RIGHT} same individual"),
    (VERMILLION, f"{WRONG} another one"),
    (hexed(0.0), "weak match"),
    (hexed(1.0), "strong match"),
]
WORDS = {
    "matches_found": "the candidate that is first now, then the one that the baseline puts first",
    "matches_wrong": "the candidate that is first, then the best positive",
    "matches_both": "the first candidate of queries whose first candidate is right with the baseline as well",
}


def pairs_sheet(table: pl.DataFrame, drawn: Sequence[Pair], sheet: str, heading: Heading, out: str | Path) -> None:
    """Write the pairs of one sheet, a row per query. table: PAIRS. drawn: what is drawn of each of its rows."""
    own, pairs = [], []
    for row, each in zip(table.to_dicts(), drawn, strict=True):
        if row["sheet"] == sheet:
            own.append(row)
            pairs.append(each)
    largest = max((float(each.weights.max()) for each in pairs if len(each.weights)), default=1.0)
    tiles = [_tile(row, each, largest) for row, each in zip(own, pairs, strict=True)]
    queries = [row["query"] for row in own]
    rows = [
        Row(
            [tile for tile, one in zip(tiles, queries, strict=True) if one == query],
            [own[queries.index(query)]["query_identity"], f"query {query}"],
        )
        for query in dict.fromkeys(queries)
    ]
    if len(rows) == len(tiles):
        rows = [Row([*map(_with_query, rows[start : start + 2])]) for start in range(0, len(rows), 2)]
    words = [heading.subtitle, *([f"{own[0]['arm']}, seed {own[0]['seed']}"] if own else []), WORDS[sheet]]
    subtitle = " · ".join(part for part in words if part.strip())
    write_sheet(rows, out, Heading(heading.title, subtitle), TILE, LEGEND)


def _with_query(row: Row) -> Tile:
    """Return the only pair of a query, with the query in its caption."""
    (tile,), (_, query) = row.tiles, row.words
    return replace(tile, caption=f"{query}\n{tile.caption}")


def _counted(matches: int) -> str:
    return plural(matches, "match", "matches") + (f", the strongest {DRAWN} drawn" if matches > DRAWN else "")


def _tile(row: Mapping[str, object], pair: Pair, largest: float) -> Tile:
    colour, mark = (GREEN, RIGHT) if row["right"] else (VERMILLION, WRONG)
    caption = "\n".join(
        [
            f"{row['identity'] or 'distractor'}, {row['image']}",
            f"rank {row['rank_before']} before, {row['rank']} now; {_counted(row['matches'])}",
            f"scores: baseline {number(row['baseline'], 2)}, local {number(row['local'])}",
        ]
    )
    width = TILE - 2 * (BORDER + 1)
    return Tile(picture(pair, width, largest), caption, colour, mark, exact=True)
