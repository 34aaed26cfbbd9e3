"""Framing: cut the square that a frame describes out of an image and resize it; find its padding again."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from reidflow.ingest.decode import Photo, decode
from reidflow.ingest.mask_files import Bounds
from reidflow.spec import components
from reidflow.spec.errors import ReidflowError

GREY = (124, 116, 104)
"""Fills the area outside the image: the mean colour of ImageNet."""

_GAP = 2.0
"""An image is first shrunk, cheaply, to no less than this times the wanted size, then resized well."""

Box = tuple[float, float, float, float]
Frame = Callable[[int, int, Bounds | None], Box]


def frame_of(spec: dict[str, Any]) -> Frame:
    """Return the function of a resolved component of `frames/` that chooses the square."""
    module = components.load("frame", spec["name"])
    return partial(module.box, **{key: value for key, value in spec.items() if key != "name"})


def framed(
    data: bytes, sidecar: bytes | None, frame: Frame, size: int, **more: Any
) -> tuple[Photo, np.ndarray, np.ndarray]:
    """Return the photo of a file, decoded no larger than needed, with the square's pixels and mask as `cut` returns them.

    more: further parameters of `decode`. Raises UnusableError.
    """

    def wanted(width: int, height: int, bounds: Bounds | None) -> float:
        return scale_for(frame(width, height, bounds), size)

    photo = decode(data, sidecar, wanted=wanted, **more)
    return photo, *cut(photo, frame(photo.width, photo.height, photo.bounds), size)


def scale_for(box: Box, size: int) -> float:
    """Return the scale to which an image may be shrunk before `box` is resized to a side of `size`; at most 1."""
    left, top, right, bottom = box
    return min(1.0, max(_GAP * size / (right - left), _GAP * size / (bottom - top)))


def cut(photo: Photo, box: Box, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels, uint8 (size, size, 3), and mask, uint8 (size, size) of 0 and 255, of `box` of the image.

    Outside the image the pixels are GREY and the mask is 0; without a mask it is 255 everywhere.
    Raises ReidflowError if the box lies wholly outside.
    """
    source, target = _visible(box, photo.width, photo.height, size)
    shape = (target[2] - target[0], target[3] - target[1])
    left, top, right, bottom = photo.view
    x, y = (right - left) / photo.width, (bottom - top) / photo.height
    scaled = (left + source[0] * x, top + source[1] * y, left + source[2] * x, top + source[3] * y)
    shown = photo.colours.resize(shape, Image.Resampling.LANCZOS, box=scaled, reducing_gap=_GAP)
    if shape != (size, size):
        canvas = Image.new("RGB", (size, size), GREY)
        canvas.paste(shown, target[:2])
        shown = canvas
    if photo.mask is None:
        return np.asarray(shown), np.full((size, size), 255, np.uint8)
    mask = np.zeros((size, size), np.uint8)
    mask[target[1] : target[3], target[0] : target[2]] = _shrunk_mask(photo.mask, shape, source)
    return np.asarray(shown), mask


def _shrunk_mask(mask: Image.Image, shape: tuple[int, int], box: Box) -> np.ndarray:
    """Return `box` of the mask at the size `shape`: 255 where half of what a pixel covers is animal, else 0.

    An animal too small to fill one keeps the pixel that it fills most.
    """
    soft = np.asarray(mask.resize(shape, Image.Resampling.BILINEAR, box=box))
    if soft.max() >= 128:
        return np.where(soft >= 128, 255, 0)
    fine = np.asarray(mask.convert("F").resize(shape, Image.Resampling.BILINEAR, box=box))
    return np.where((fine > 0) & (fine == fine.max()), 255, 0)


def _visible(box: Box, width: int, height: int, size: int) -> tuple[Box, tuple[int, int, int, int]]:
    """Return the part of `box` inside the image, and where in the square it goes."""
    left, top, right, bottom = box
    across = _axis(left, right, width, size)
    down = _axis(top, bottom, height, size)
    if across is None or down is None:
        raise ReidflowError(f"the frame chose {box}, which shows nothing of an image of {width} x {height} pixels.")
    (x0, x1, u0, u1), (y0, y1, v0, v1) = across, down
    return (x0, y0, x1, y1), (u0, v0, u1, v1)


def _axis(start: float, end: float, length: int, size: int) -> tuple[float, float, int, int] | None:
    first, last = max(start, 0.0), min(end, float(length))
    if last <= first:
        return None
    scale = size / (end - start)
    low = min(round((first - start) * scale), size - 1)
    return first, last, low, max(round((last - start) * scale), low + 1)


def inside(pixels: np.ndarray) -> np.ndarray:
    """Return where a framed image shows the image and not padding, bool (S, S); pixels: uint8 (S, S, 3).

    Padding is what `cut` adds: whole rows and columns at the border that are GREY from end to end. A frame that is GREY
    all over counts as an image.
    """
    red, green, blue = (pixels[..., channel] != GREY[channel] for channel in range(3))
    shown = red | green | blue
    if not shown.any():
        return np.ones_like(shown)
    return _between_ends(shown.any(axis=1))[:, None] & _between_ends(shown.any(axis=0))


def _between_ends(line: np.ndarray) -> np.ndarray:
    """Return True from the first to the last True of a line, bool (S,)."""
    found = np.flatnonzero(line)
    filled = np.zeros_like(line)
    filled[found[0] : found[-1] + 1] = True
    return filled
