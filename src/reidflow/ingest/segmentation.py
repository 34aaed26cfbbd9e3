"""COCO segmentations (polygons, run lengths) as people export them, drawn as masks exactly as `pycocotools` does.

pycocotools itself is not used at run time: it decodes run lengths of any size into memory that they declare, and needs
NumPy's headers to install where it has no wheel.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image

from reidflow.ingest.boxes import BLANK, Box, without_calls

EXAMPLE = "[[10, 10, 80, 10, 80, 60, 10, 60]]"
_LONGEST = 20_000_000  # characters
_FINE = 5  # points per pixel at which pycocotools follows an outline
_LETTERS = bytes(range(48, 112))  # of compressed run lengths

Segmentation = list[np.ndarray] | dict[str, Any]
"""Polygons (P, 2) float64 of x and y, or run lengths as {counts: int64 (R,), size: (height, width)}."""


def parse(text: str | None) -> Segmentation | None:
    """Return a COCO segmentation, None for a blank.

    Polygons: a list of lists of x, y, x, y, ...; also one such list, or lists of pairs. Run lengths: a mapping of
    `counts` (numbers, or a compressed string) and `size` (height, width). JSON, or as Python and NumPy print it; nothing is
    executed. Parts of fewer than three points are left out beside others. Raises ValueError that says what is wrong.
    """
    text = (text or "").strip()
    if text.lower() in BLANK:
        return None
    found = _read(text)
    if isinstance(found, dict):
        return _runs(found)
    if not isinstance(found, list | tuple) or not found:
        raise ValueError("neither polygons nor run lengths")
    polygons = [_polygon(part) for part in _parts(found)]
    whole = [polygon for polygon in polygons if len(polygon) >= 3]
    if not whole:
        raise ValueError(f"a polygon of {len(polygons[0])} points: at least 3 are needed")
    return whole


def is_drawn(text: str | None) -> bool:
    """Return whether a text is a segmentation, maybe a damaged one, and not the name of a file."""
    return (text or "").lstrip().startswith(("[", "{", "(", "array(", "np."))


def looks_like(text: str | None) -> bool:
    """Return whether a text is a segmentation that can be read."""
    try:
        return is_drawn(text) and parse(text) is not None
    except ValueError:
        return False


def bounds(text: str | None, *, relative: bool = False) -> Box | None:
    """Return the box around a segmentation, in its unit; None where there is none, or one that is damaged.

    relative: boxes are in shares of width and height, those of run lengths too.
    """
    try:
        found = parse(text) if is_drawn(text) else None
    except ValueError:
        return None
    if found is None:
        return None
    if isinstance(found, dict):
        left, top, right, bottom = _bounds_of_runs(found)
        across, down = found["size"][::-1] if relative else (1, 1)
        return left / across, top / down, (right - left) / across, (bottom - top) / down
    points = np.concatenate(found)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right - left), float(bottom - top)


def bounded(
    files: Sequence[str | None], given: Sequence[Box | None], drawn: Sequence[str | None], relative: bool = False
) -> list[Box | None]:
    """Return the boxes of rows, of a file each: without one, of a photograph of several rows, the bounds of the segmentation."""
    counts = Counter(files)
    return [
        bounds(shape, relative=relative) if box is None and counts[file] > 1 else box
        for file, box, shape in zip(files, given, drawn, strict=True)
    ]


def _bounds_of_runs(found: dict[str, Any]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of run lengths, without drawing what may be too large."""
    height, counts = found["size"][0], found["counts"]
    ends = np.cumsum(counts)
    inside = (np.arange(len(counts)) % 2 == 1) & (counts > 0)
    if not inside.any():
        return 0, 0, 0, 0
    first, last = (ends - counts)[inside], ends[inside] - 1
    left, right = int(first[0] // height), int(last[-1] // height) + 1
    if (first // height != last // height).any():
        return left, 0, right, height
    return left, int((first % height).min()), right, int((last % height).max()) + 1


def largest(found: Segmentation) -> float:
    """Return the largest coordinate of polygons."""
    return max(float(polygon.max()) for polygon in found)


def draw(found: Segmentation, width: int, height: int, *, relative: bool = False) -> Image.Image:
    """Return the mask (L, 0 or 255): polygons at width x height, run lengths at the size that they state.

    relative: polygons are in shares of width and height.
    """
    if isinstance(found, dict):
        rows, columns = found["size"]
        return _image(_unrolled(found["counts"]), columns, rows)
    flat = np.zeros(width * height, bool)
    scale = (width, height) if relative else (1, 1)
    for polygon in found:
        flat |= _filled(polygon * scale, width, height)
    return _image(flat, width, height)


def size_of(found: Segmentation) -> tuple[int, int] | None:
    """Return width and height that run lengths state, None for polygons."""
    return (found["size"][1], found["size"][0]) if isinstance(found, dict) else None


def _read(text: str) -> Any:
    if len(text) > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} characters")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if "..." in text:
        raise ValueError(
            "cut short ('...'), as long arrays are printed: export the table as Parquet, or arrays as lists"
        )
    for plain in (text, _separated(without_calls(text)) if is_drawn(text) else text):
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return ast.literal_eval(plain)
    raise ValueError("neither JSON nor a list of Python")


def _separated(text: str) -> str:
    """Return the arrays of a text as NumPy prints them, `[1. 2.]`, with commas."""
    return re.sub(r"(?<=[\d.\])])\s+(?=[-\d.\[(])", ", ", text)


def _parts(found: list | tuple) -> list:
    """Return the polygons of a list: of lists, of one polygon's numbers, or of its pairs."""
    if all(isinstance(one, int | float) for one in found):
        return [found]
    if not all(isinstance(one, list | tuple) for one in found):
        raise ValueError("numbers and lists mixed")
    pairs = all(len(one) == 2 and all(isinstance(value, int | float) for value in one) for one in found)
    return [found] if pairs else list(found)


def _polygon(part: list | tuple) -> np.ndarray:
    try:
        points = np.asarray(part, np.float64).reshape(-1, 2)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError("a polygon is not a list of x, y, x, y, ...") from error
    if not np.isfinite(points).all() or np.abs(points).max(initial=0) > 1e7:
        raise ValueError("a polygon has a point that is not finite, or too far away")
    return points


def _runs(found: dict) -> dict[str, Any]:
    size, counts = found.get("size"), found.get("counts")
    if counts is None or not isinstance(size, list | tuple) or len(size) != 2:
        raise ValueError("a mapping needs counts and size (height, width)")
    try:
        height, width = (int(side) for side in size)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"run lengths of the size {size}") from error
    if min(height, width) < 1:
        raise ValueError(f"run lengths of the size {height} x {width}")
    if isinstance(counts, str | bytes):
        counts = _decompressed(counts if isinstance(counts, bytes) else counts.encode("latin-1", "replace"))
    try:
        counts = np.asarray(counts, np.int64).reshape(-1)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError("counts are neither whole numbers nor a compressed string") from error
    if (len(counts) and (counts.min() < 0 or counts.max() > height * width)) or counts.sum() != height * width:
        raise ValueError(
            f"the run lengths add up to {counts.sum()}, and the size {height} x {width} has {height * width}"
        )
    return {"counts": counts, "size": (height, width)}


def _decompressed(text: bytes) -> list[int]:
    """Return the run lengths of COCO's compressed form: 5 bits a letter, differences from the last but one."""
    if text.strip(_LETTERS):
        raise ValueError("counts hold a letter that compressed run lengths do not have")
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        bits = letter - 48
        value |= (bits & 31) << shift
        shift += 5
        if shift > 60:
            raise ValueError("counts are damaged: a run that is too long")
        if not bits & 32:
            value -= 1 << shift if bits & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("counts end within a number")
    return counts


def _unrolled(counts: np.ndarray) -> np.ndarray:
    """Return run lengths, of outside and inside in turns, as one value per pixel, bool."""
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts)


def _image(flat: np.ndarray, width: int, height: int) -> Image.Image:
    """Return the mask whose pixels are listed column by column."""
    return Image.fromarray(np.ascontiguousarray((flat.view(np.uint8) * 255).reshape(width, height).T))


def _filled(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the inside of a polygon (P, 2), bool (width * height,) column by column.

    The outline is followed in steps of a fifth of a pixel; where it passes the middle of a column, inside and outside
    change places. Source: `rleFrPoly` of pycocotools.
    """
    fine = np.trunc(_FINE * points + 0.5).astype(np.int64)
    closed = np.concatenate([fine, fine[:1]])
    lines = [_line(start, end) for start, end in pairwise(closed)]
    across, down = (np.concatenate(axis) for axis in zip(*lines, strict=True))
    moved = np.flatnonzero(across[1:] != across[:-1])
    column = (np.minimum(across[1:], across[:-1])[moved] + 0.5) / _FINE - 0.5
    row = (np.minimum(down[1:], down[:-1])[moved] + 0.5) / _FINE - 0.5
    crossed = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    row = np.ceil(np.clip(row[crossed], 0, height))
    changes = np.sort((column[crossed] * height + row).astype(np.int64))
    return _unrolled(np.diff(changes, prepend=0, append=width * height))


def _line(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the fine points from `start` to `end`, both included."""
    (x0, y0), (x1, y1) = start.tolist(), end.tolist()
    wide, high = abs(x1 - x0), abs(y1 - y0)
    steep = wide < high
    backwards = (y0 > y1) if steep else (x0 > x1)
    if backwards:
        x0, y0, x1, y1 = x1, y1, x0, y0
    steps = np.arange(max(wide, high) + 1)
    steps = steps[::-1] if backwards else steps
    if steep:
        return np.trunc(x0 + (x1 - x0) / high * steps + 0.5).astype(np.int64), steps + y0
    slope = (y1 - y0) / wide if wide else 0.0
    return steps + x0, np.trunc(y0 + slope * steps + 0.5).astype(np.int64)
