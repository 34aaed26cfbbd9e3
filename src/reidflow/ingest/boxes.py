"""Boxes of animals within photographs: read as people write them, and turned into the pixels that they cover."""

import ast
import json
import math
import re
from collections.abc import Sequence

from reidflow.spec.errors import ReidflowError

Box = tuple[float, float, float, float]
"""Left, top, width, height."""
Pixels = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom are one past the last."""

BLANK = frozenset({"", "nan", "none", "null", "<na>", "na", "[]"})
_SIDES = (("x", "left", "xmin", "x1"), ("y", "top", "ymin", "y1"), ("width", "w"), ("height", "h"))
_CORNERS = (*_SIDES[:2], ("xmax", "right", "x2"), ("ymax", "bottom", "y2"))
_LONGEST = 1000  # characters of a box
_CALL = re.compile(r"\b(?:(?:np|numpy|torch)\.)?(?:array|tensor|u?int\d+|float\d+)\(([^()]*)\)")
_KEYWORDS = re.compile(r",\s*(?:dtype|device|requires_grad)=[^,\]]*")
_SHOWN = 3
_FAR = 2
"""Shares of a side that no box or outline in a photograph reaches."""


def without_calls(text: str) -> str:
    """Return a text without NumPy's and PyTorch's own words: `[np.float64(1.5)]` is `[1.5]`, `array([1.5])` is `[1.5]`."""
    found = 1
    while found:
        text, found = _CALL.subn(lambda call: _KEYWORDS.sub("", call[1]), text)
    return text


def parse(text: str | None, *, corners: bool = False) -> Box | None:
    """Return left, top, width and height of a box, or None for a blank: the whole photograph.

    Four numbers, separated by commas, semicolons or blanks, with or without brackets, or a mapping of x, y, width and
    height (also left, top, w, h), or of xmin, ymin, xmax and ymax; also as NumPy prints them. corners: of numbers without
    names, the last two are right and bottom. Raises ValueError.
    """
    text = (text or "").strip()
    if len(text) > _LONGEST:
        raise ValueError("too long for a box")
    text = without_calls(text)
    if text.lower() in BLANK:
        return None
    if text.startswith("{") and ":" in text:
        four, corners = _of_mapping(text)
    else:
        numbers = re.split(r"[,;\s]+", re.sub(r"[\[\](){}\"']", " ", text).strip(" ,;"))
        if all(number and number.lower() in BLANK for number in numbers):
            return None
        four = [float(number) for number in numbers]
    if len(four) != 4:
        raise ValueError(f"{len(four)} numbers instead of 4")
    if not all(map(math.isfinite, four)):
        raise ValueError("a number is not finite")
    left, top, third, fourth = four
    return (left, top, third - left, fourth - top) if corners else (left, top, third, fourth)


def parse_column(
    texts: Sequence[str | None], where: str, *, corners: bool = False, remedy: str = ""
) -> list[Box | None]:
    """Return the boxes of a column; `where` names it in the error, which ends with `remedy`.

    Raises one ReidflowError for all that are none.
    """
    boxes: list[Box | None] = []
    wrong: list[str] = []
    for row, text in enumerate(texts, 1):
        try:
            boxes.append(parse(text, corners=corners))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            wrong.append(f"row {row}: '{(text or '')[:60]}'")
    if wrong:
        form = "left, top, right, bottom" if corners else "x, y, width, height"
        more = ", ..." if len(wrong) > _SHOWN else ""
        raise ReidflowError(
            f"{where}: {len(wrong)} of {len(texts)} boxes are not four numbers ({'; '.join(wrong[:_SHOWN])}{more}). Write "
            f"{form}, e.g. [10, 20, 80, 60]; a blank is the whole photograph.{remedy}"
        )
    return boxes


def covered(box: Box, relative: bool, width: int, height: int) -> Pixels | None:
    """Return the pixels of a width x height photograph that a box covers, clipped; None where it covers none.

    The sides are rounded to whole pixels, as Pillow's `crop` does. relative: the box is in shares of width and height.
    """
    across, down = (width, height) if relative else (1, 1)
    left, right = (_clipped(value * across, width) for value in (box[0], box[0] + box[2]))
    top, bottom = (_clipped(value * down, height) for value in (box[1], box[1] + box[3]))
    return (left, top, right, bottom) if left < right and top < bottom else None


def other_unit(largest: float, relative: bool) -> str:
    """Return what to do about coordinates that must be of another unit, judged by their largest; '' where they may be right."""
    if not relative and 0 < largest <= 1:
        return ". All is within 0 to 1: for shares of the photograph's sides, write relative: true (source table)"
    if relative and largest > _FAR:
        return f". Shares go from 0 to 1, but the largest value is {largest:g}: for pixels remove relative: true; divide percentages by 100"
    return ""


def inside(box: Box, relative: bool, width: int, height: int) -> bool:
    """Return whether a box reaches beyond a photograph by no more than a hundredth of its side, or two pixels."""
    across, down = (width, height) if relative else (1, 1)
    left, top, right, bottom = box[0] * across, box[1] * down, (box[0] + box[2]) * across, (box[1] + box[3]) * down
    wide, high = max(2, width / 100), max(2, height / 100)
    return left >= -wide and top >= -high and right <= width + wide and bottom <= height + high


def as_corners(box: Box) -> Box:
    """Return the box whose right and bottom are the width and height of another."""
    left, top, right, bottom = box
    return left, top, right - left, bottom - top


def describe_clipped(outside: Sequence[str], count: int, corners: bool) -> list[str]:
    """Return a sentence about boxes that reach outside: the images of those, of `count` in all.

    corners: whether all boxes are inside once their last two numbers are read as right and bottom.
    """
    if not outside:
        return []
    hint = (
        ". If x and y of the left upper and of the right lower corner were meant, all are inside: write corners: true in "
        "dataset.source (source table)"
    )
    clipped = (
        f"{len(outside)} of {count} boxes reach outside their photograph and were clipped, for example {outside[0]}"
    )
    return [clipped + (hint if corners else "")]


def _clipped(value: float, length: int) -> int:
    return round(min(max(value, 0.0), float(length)))


def _of_mapping(text: str) -> tuple[list[float], bool]:
    """Return the four numbers of a mapping, and whether the last two are right and bottom."""
    try:
        found = json.loads(text)
    except ValueError:
        found = ast.literal_eval(text)
    named = {str(key).lower(): value for key, value in found.items()}
    corners = any(name in named for name in _CORNERS[2])
    four = [next((named[name] for name in names if name in named), None) for names in (_CORNERS if corners else _SIDES)]
    return [float(value) for value in four if value is not None], corners
