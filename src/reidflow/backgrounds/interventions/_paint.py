"""Colours as a config writes them, and the box around the animal that the probes of the background paint over."""

import re

import numpy as np

from reidflow.spec.errors import ReidflowError


def rgb(text: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of a colour like "#7c7468". Raises ReidflowError for any other text."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise ReidflowError(
            f"the background colour {text!r} is not '#' and six hexadecimal digits. Write e.g. '#7c7468'."
        )
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def without_box(image: np.ndarray, mask: np.ndarray, dilation: float, colour: tuple[int, int, int]) -> np.ndarray:
    """Return `image`, uint8 (S, S, 3), with the dilated bounding box of `mask`, bool (S, S), painted in one colour.

    The box becomes (1 + dilation) times as wide and as high about its centre, rounded outwards, and is cut off at the
    frame. An empty mask has no box. Raises ReidflowError for a dilation below 0, which would leave parts of the animal.
    """
    if not dilation >= 0:
        raise ReidflowError(f"the dilation of the animal's box is {dilation}. Set it to at least 0.")
    changed = image.copy()
    if mask.any():
        rows, columns = (_dilated(mask.any(axis=axis), dilation) for axis in (1, 0))
        changed[rows, columns] = colour
    return changed


def _dilated(line: np.ndarray, dilation: float) -> slice:
    found = np.flatnonzero(line)
    start, end = int(found[0]), int(found[-1]) + 1
    more = int(np.ceil(dilation * (end - start) / 2))
    return slice(max(0, start - more), end + more)
