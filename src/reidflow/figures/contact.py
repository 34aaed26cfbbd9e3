"""Contact sheets: many small images with their captions, pixel by pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
import polars as pl
from PIL import Image, ImageDraw, ImageFont

from reidflow.figures.style import FAINT, INK, MUTED, ORANGE, ROLES, Heading, need
from reidflow.figures.text import clean, fit
from reidflow.ingest.manifest import WHOLE
from reidflow.spec.errors import ReidflowError
from reidflow.splits.roles import ASIDE
from reidflow.store.atomic import replacing

MARGIN, GAP, BORDER, LINE = 16, 10, 4, 16
SIZE, SIGN = 12, 20
"""Pixels: around the sheet, between tiles, of a coloured border, of a caption's line, of its font, of a mark."""
ORDER = ("train", "val", "test", "unused")
SOURCES = {
    "alpha": "alpha channels",
    "sidecar": "mask files",
    "segmentation": "segmentations",
    "network": "a network",
}
"""Sources of masks in a manifest, in words."""


@dataclass(frozen=True)
class Tile:
    """An image (H, W, 3) uint8 with its caption, and the colour of its border if it has one.

    A caption of several lines has one for each, any other at most two. mark: a sign in its upper left corner, in the
    border's colour, for readers who cannot distinguish the colours. exact: whether each pixel of the image is one of the
    sheet; else it is scaled to the tile.
    """

    image: np.ndarray
    caption: str = ""
    colour: str | None = None
    mark: str = ""
    exact: bool = False

    def height(self, tile: int) -> int:
        """Return the height that it takes on the sheet, with its border."""
        return len(self.image) + 2 * (BORDER + 1) if self.exact else tile


@dataclass(frozen=True)
class ImageRows:
    """The images of the data set, (N, H, W, 3) uint8, and the row of each by its id."""

    images: np.ndarray
    row_of: Mapping[str, int]

    @classmethod
    def of(cls, images: np.ndarray, manifest: pl.DataFrame) -> "ImageRows":
        """Return the images of a data set; row i of the images is row i of its manifest."""
        return cls(images, {image: row for row, image in enumerate(manifest["image"])})

    def tile(self, image: str, caption: str, colour: str, mark: str = "") -> Tile:
        """Return an image as a tile."""
        return Tile(self.images[self.row_of[image]], caption, colour, mark)


@dataclass(frozen=True)
class Row:
    """Tiles side by side, with words to their left (the first line in bold)."""

    tiles: Sequence[Tile]
    words: Sequence[str] = ()


def write_sheet(
    rows: Sequence[Row], out: str | Path, heading: Heading, tile: int, legend: Sequence[tuple[str, str]] = ()
) -> None:
    """Write rows of tiles; `legend` holds (colour, meaning) for the borders."""
    gutter = 190 if any(row.words for row in rows) else 0
    across = max((len(row.tiles) for row in rows), default=0)
    width = max(2 * MARGIN + gutter + across * (tile + GAP) - GAP, 420)
    captions = [[_caption(t.caption, tile) for t in row.tiles] for row in rows]
    tall = [max((each.height(tile) for each in row.tiles), default=tile) for row in rows]
    heights = [
        own + GAP + LINE * max((len(c) for c in found), default=0) + (4 if any(found) else 0)
        for own, found in zip(tall, captions, strict=True)
    ]
    title = _lines(heading.title, width - 2 * MARGIN, 17, 3, bold=True)
    subtitle = _lines(heading.subtitle, width - 2 * MARGIN, 13, 2)
    top = MARGIN + 23 * len(title) + 19 * len(subtitle) + (24 if legend else 0) + (8 if title or subtitle else 0)
    canvas = Image.new("RGB", (width, top + max(sum(heights), LINE + GAP) - GAP + MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    y = _write(draw, MARGIN, MARGIN, title, 17, 23, INK, bold=True)
    y = _write(draw, MARGIN, y, subtitle, 13, 19, MUTED)
    _legend(draw, legend, y + 5)
    if not rows:
        _write(draw, MARGIN, top, ["no images"], SIZE, LINE, MUTED)
    for row, found, own, height in zip(rows, captions, tall, heights, strict=True):
        _words(draw, row.words, top, gutter)
        for i, (each, lines) in enumerate(zip(row.tiles, found, strict=True)):
            left = MARGIN + gutter + i * (tile + GAP)
            _paste(canvas, draw, each, left, top, (tile, own))
            _write(draw, left, top + own + 3, lines, SIZE, LINE, MUTED)
        top += height
    _save(canvas, Path(out))


def _caption(text: str, width: float) -> list[str]:
    parts = text.split("\n")
    return [line for part in parts for line in _lines(part, width, lines=2 if len(parts) == 1 else 1)]


def _lines(text: str, width: float, size: int = SIZE, lines: int = 2, bold: bool = False) -> list[str]:
    # One pixel is one point here: 72 to the inch.
    return fit(text, (width - 2) / 72, size, lines, bold).split("\n") if text.strip() else []


@lru_cache(maxsize=16)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _write(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    lines: Sequence[str],
    size: int,
    line: int,
    fill: str,
    bold: bool = False,
) -> float:
    for text in lines:
        draw.text((x, y), text, font=_font(size, bold), fill=fill)
        y += line
    return y


def _words(draw: ImageDraw.ImageDraw, words: Sequence[str], top: float, gutter: int) -> None:
    y = top
    for i, text in enumerate(words):
        size = 14 if i == 0 else SIZE
        lines = _lines(text, gutter - 14, size, 3, bold=i == 0)
        y = _write(draw, MARGIN, y, lines, size, size + 5, INK if i == 0 else MUTED, bold=i == 0)


def _paste(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, each: Tile, left: int, top: int, cell: tuple[int, int]
) -> None:
    width, height = cell
    picture = Image.fromarray(np.ascontiguousarray(each.image))
    if not each.exact:
        scale = (width - 2 * (BORDER + 1) if each.colour else width) / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        shrinking = scale < 1
        picture = picture.resize(size, Image.Resampling.LANCZOS if shrinking else Image.Resampling.NEAREST)
    canvas.paste(picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2))
    if each.colour:
        draw.rectangle((left, top, left + width - 1, top + height - 1), outline=each.colour, width=BORDER)
    if each.mark:
        draw.rectangle((left, top, left + SIGN, top + SIGN), fill=each.colour or INK)
        centre = (left + SIGN / 2, top + SIGN / 2)
        draw.text(centre, each.mark, font=_font(SIGN - 4, True), fill="white", anchor="mm")


def _legend(draw: ImageDraw.ImageDraw, legend: Sequence[tuple[str, str]], y: float) -> None:
    x = MARGIN
    for colour, meaning in legend:
        draw.rectangle((x, y + 1, x + 12, y + 13), outline=colour, width=BORDER)
        draw.text((x + 19, y), clean(meaning), font=_font(SIZE, False), fill=MUTED)
        x += 19 + int(draw.textlength(clean(meaning), font=_font(SIZE, False))) + 20


def _save(canvas: Image.Image, out: Path) -> None:
    formats = {".png": {"format": "PNG", "compress_level": 6}, ".jpg": {"format": "JPEG", "quality": 90}}
    if out.suffix not in formats:
        raise ReidflowError(f"{out}: contact sheets are written as .png or .jpg. Correct the output.")
    with replacing(out) as temporary:
        canvas.save(temporary, **formats[out.suffix])


def identities_sheet(
    images: np.ndarray,
    manifest: pl.DataFrame,
    split: pl.DataFrame,
    heading: Heading,
    out: str | Path,
    *,
    per_identity: int = 8,
    most: int = 24,
    tile: int = 112,
) -> None:
    """Write a row per identity, the one with the most images first, as PNG or JPEG by the suffix of `out`.

    images: (N, H, W, 3) uint8, row i being row i of the manifest. split: image, identity, group, role. Of more than
    `most` identities, as many are shown, from the most common to the rarest at even distances; of more than
    `per_identity` images, every role gets its turn, and its images are taken at even distances over their groups.
    Images that are left aside are not shown.
    """
    need(split, ["image", "identity", "group", "role"], "identities sheet")
    split = split.filter((pl.col("role") != ASIDE) & pl.col("identity").is_not_null())
    row_of = {image: row for row, image in enumerate(manifest["image"])}
    people = split.group_by("identity").len().sort(["len", "identity"], descending=[True, False])["identity"].to_list()
    shown = _even(people, most)
    rows = []
    for identity in shown:
        own = split.filter(pl.col("identity") == identity)
        tiles = [Tile(images[row_of[image]], "", ROLES.get(role, FAINT)) for image, role in _choose(own, per_identity)]
        rows.append(Row(tiles, [identity, f"{own.height} images", _counts(own)]))
    roles = [role for role in ORDER if role in set(split["role"])]
    share = f"{len(shown)} of {len(people)} identities" if len(shown) < len(people) else f"{len(people)} identities"
    subtitle = " · ".join(part for part in (heading.subtitle, share) if part.strip())
    write_sheet(rows, out, Heading(heading.title, subtitle), tile, [(ROLES[role], role) for role in roles])


def masks_sheet(
    images: np.ndarray,
    masks: np.ndarray,
    manifest: pl.DataFrame,
    heading: Heading,
    out: str | Path,
    *,
    across: int = 8,
    tile: int = 128,
) -> None:
    """Write images with the outline of their masks, by the share of the image that is foreground: as PNG or JPEG.

    images: (N, H, W, 3) uint8 and masks: (N, H, W) uint8, row i being row i of the manifest. The rows are the images with
    the smallest foreground, those between at even distances, and those with the largest: bad masks are mostly at the ends.
    Where several sources gave masks, each has rows of its own. The subtitle counts the images of each source.
    """
    numbered = manifest.with_row_index("row")
    counts = dict(manifest["mask"].value_counts().sort("mask").iter_rows())
    rows = []
    for source in [name for name in counts if name != "none"]:
        own = numbered.filter(pl.col("mask") == source).sort("foreground", "image")
        rest = list(range(across, len(own) - across))
        parts = {
            "smallest foreground": own[:across],
            "foreground in between": own[_even(rest, across)],
            "largest foreground": own[across:][-across:],
        }
        for name, part in parts.items():
            if not len(part):
                continue
            tiles = [
                Tile(_outlined(images[row], masks[row], tile), f"{share:.1%} · {image}")
                for row, share, image in part.select("row", "foreground", "image").iter_rows()
            ]
            low, high = part["foreground"].min(), part["foreground"].max()
            rows.append(Row(tiles, [SOURCES[source].capitalize(), name, f"{low:.1%} to {high:.1%} of the image"]))
    words = [heading.subtitle, _sources(counts)]
    whole = int((manifest["foreground"].fill_null(0.0) > WHOLE).sum())
    words += [f"{whole} cover over {WHOLE:.0%} of the image"] if whole else []
    words += [] if rows else ["dataset.masks computes masks"]
    write_sheet(rows, out, Heading(heading.title, " · ".join(filter(str.strip, words))), tile)


def _sources(counts: dict[str, int]) -> str:
    given = [f"{count} from {SOURCES[source]}" for source, count in counts.items() if source != "none"]
    return ", ".join([*given, *([f"{counts['none']} without a mask"] if "none" in counts else [])])


def _outlined(image: np.ndarray, mask: np.ndarray, side: int) -> np.ndarray:
    """Return an image (side, side, 3) with the outline of its mask: a line of two colours, seen on any ground."""
    shown = np.array(Image.fromarray(np.ascontiguousarray(image)).resize((side, side), Image.Resampling.LANCZOS))
    inside = (
        np.asarray(Image.fromarray(np.ascontiguousarray(mask)).resize((side, side), Image.Resampling.BILINEAR)) > 127
    )
    shown[_grown(inside) & ~inside] = _rgb(INK)
    shown[inside & _grown(~inside)] = _rgb(ORANGE)
    return shown


def _grown(where: np.ndarray) -> np.ndarray:
    """Return where a pixel or a neighbour of it is True, bool (H, W)."""
    found = where.copy()
    found[1:] |= where[:-1]
    found[:-1] |= where[1:]
    found[:, 1:] |= where[:, :-1]
    found[:, :-1] |= where[:, 1:]
    return found


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def _even(values: list, count: int) -> list:
    """Return at most `count` of the values, at even distances, the first and the last among them."""
    if len(values) <= count:
        return values
    if count == 1:
        return values[:1]
    return [values[round(i * (len(values) - 1) / (count - 1))] for i in range(count)]


def _choose(own: pl.DataFrame, count: int) -> list[tuple[str, str]]:
    """Return (image, role) of the images to show, in the order of the roles."""
    ordered = own.sort("group", "image")
    by_role = {role: ordered.filter(pl.col("role") == role)["image"].to_list() for role in ORDER}
    quota = dict.fromkeys(ORDER, 0)
    left = min(count, sum(map(len, by_role.values())))
    while left:
        for role in ORDER:
            if left and quota[role] < len(by_role[role]):
                quota[role] += 1
                left -= 1
    return [(image, role) for role in ORDER if quota[role] for image in _even(by_role[role], quota[role])]


def _counts(own: pl.DataFrame) -> str:
    counts = {role: own.filter(pl.col("role") == role).height for role in ORDER}
    return ", ".join(f"{count} {role}" for role, count in counts.items() if count)
