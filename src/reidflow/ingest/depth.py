"""Images of more than 8 bits a channel: their values, and the 8 bits that the range of their data set makes of them.

Cameras store 12 bits in 16, sensors of heat a narrow band: the upper 8 of 16 bits would be a few grey levels. A range of
each image would hide what differs between images, and could not be repeated for a single new photograph.
"""

import io
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np
from PIL import Image, ImageOps

SIXTEEN, THIRTY_TWO, FLOAT = "16 bits", "32 bits", "floats"
FULL = (0.0, 65535.0)
_OUTSIDE = 0.001
"""Share of an image's pixels at either end of its values that does not count: hot and dead pixels of a sensor."""
_ENOUGH = 0.5
"""Share of the range of 16 bits from which on it is kept: photographs that use it look as they do anywhere."""
_FEW = 32
"""Levels below which an image has hardly any contrast."""
_INTERPRETATION, _BITS = 262, 258
_OTHER_ENDS = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}

Levels = dict[str, tuple[float, float]]
"""Kind of values -> those that become 0 and 255."""


@dataclass(frozen=True)
class Spread:
    """The range of an image's values, a thousandth of its pixels at either end left out."""

    kind: str
    lowest: float
    highest: float

    @property
    def default(self) -> tuple[float, float]:
        """The values that become 0 and 255 where no data set says which: of 16 bits all, else the image's own."""
        return FULL if self.kind == SIXTEEN else (self.lowest, self.highest)


class WrongBitsError(ValueError):
    """A file whose values Pillow reads wrongly."""


def kind_of(image: Image.Image) -> str | None:
    """Return the kind of values of an opened image that is not loaded yet; None for 8 bits a channel or fewer."""
    if image.mode == "F":
        return FLOAT
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return SIXTEEN
    if image.mode == "I":
        return THIRTY_TWO
    raw = _raw_mode(image)
    if image.format == "TIFF" and raw in ("R", "L") and max(image.tag_v2.get(_BITS, (8,))) > 8:
        raise WrongBitsError(
            "a TIFF of 16 bits in planes, uncompressed, is read wrongly: store its channels interleaved"
        )
    return SIXTEEN if image.mode in ("RGB", "RGBA") and ";16" in raw else None


def values_of(image: Image.Image, kind: str, data: bytes) -> np.ndarray:
    """Return the values of a loaded, upright image, (H, W) or (H, W, 3).

    Pillow keeps the upper half of 16-bit colours; the lower half is read from `data` as if its bytes were swapped.
    """
    if kind != SIXTEEN:
        return np.asarray(image)
    if image.mode in ("RGB", "RGBA"):
        upper, lower = np.asarray(image)[..., :3].astype(np.uint16), _lower_half(data)
        return upper << 8 | lower
    values = np.asarray(image).astype(np.uint16)
    dark_is_high = image.format == "TIFF" and image.tag_v2.get(_INTERPRETATION) == 0
    return 65535 - values if dark_is_high else values


def only_eight(values: np.ndarray) -> bool:
    """Return whether values of 16 bits are 8 bits, repeated or shifted, of which the upper half is all there is."""
    if values.dtype != np.uint16:
        return False
    lower = values & 255
    return not lower.any() or bool((lower == values >> 8).all())


def spread_of(values: np.ndarray, kind: str) -> Spread:
    """Return the range of values (any shape, at least one)."""
    flat = values.ravel()
    if kind == SIXTEEN:
        below = np.cumsum(np.bincount(flat, minlength=65536))
        low, high = np.searchsorted(below, [_OUTSIDE * flat.size, (1 - _OUTSIDE) * flat.size])
    else:
        low, high = np.quantile(flat.astype(np.float64), [_OUTSIDE, 1 - _OUTSIDE], method="nearest")
    return Spread(kind, float(low), float(high))


def levels_of(spreads: Iterable[Spread]) -> Levels:
    """Return the range of a data set by kind of values: from the lowest to the highest of its images.

    16 bits keep their full range where the images span half of it or more.
    """
    found: Levels = {}
    for one in spreads:
        low, high = found.get(one.kind, (one.lowest, one.highest))
        found[one.kind] = (min(low, one.lowest), max(high, one.highest))
    full = FULL[1] - FULL[0]
    if SIXTEEN in found and not 0 < found[SIXTEEN][1] - found[SIXTEEN][0] < _ENOUGH * full:
        found[SIXTEEN] = FULL
    return {kind: found[kind] for kind in sorted(found)}


def eight_bits(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values as uint8 of the same shape, `low` and what is below as 0, `high` and what is above as 255."""
    if values.dtype == np.uint16 and (low, high) == FULL:
        return (values >> 8).astype(np.uint8)
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled = (values.astype(np.float64) - low) * (255 / (high - low))
    return np.round(np.clip(scaled, 0, 255)).astype(np.uint8)


def describe(spreads: list[Spread], levels: Levels) -> list[str]:
    """Return a sentence for each kind of values: the range that became 8 bits, and what that loses."""
    sentences = []
    for kind in sorted({one.kind for one in spreads}):
        low, high = levels[kind]
        step = (high - low) / 255
        widths = [max(0.0, min(one.highest, high) - max(one.lowest, low)) for one in spreads if one.kind == kind]
        used = [min(256, round(width / step) + 1) if step > 0 else 1 for width in widths]
        few = sum(number < _FEW for number in used)
        count = "1 image" if len(widths) == 1 else f"{len(widths)} images"
        sentences.append(
            f"{count} of {kind} a channel: the values {low:.6g} to {high:.6g} became the levels 0 to 255, {step:.3g} to a "
            f"level; half of these images use at least {round(median(used))} levels"
            + (f", and {few} fewer than {_FEW}: are they of another sensor?" if few else ".")
            + " Another range: dataset.levels: [lowest, highest]"
        )
    return sentences


def _raw_mode(image: Image.Image) -> str:
    """Return how the file stores its samples, in Pillow's words."""
    if not image.tile:
        return ""
    stored = image.tile[0].args
    return str(stored[0] if isinstance(stored, tuple) and stored else stored)


def _lower_half(data: bytes) -> np.ndarray:
    """Return the lower bytes of 16-bit colours, upright, (H, W, 3)."""
    with Image.open(io.BytesIO(data)) as image:
        raw = _raw_mode(image)
        # Grey with alpha: the four bytes of a pixel as four channels.
        other = "RGBA" if raw.startswith("LA") else raw[:-1] + _OTHER_ENDS[raw[-1]]
        image.tile = [
            tile._replace(args=(other, *tile.args[1:]) if isinstance(tile.args, tuple) else other)
            for tile in image.tile
        ]
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        lower = np.asarray(image)
    return np.repeat(lower[..., 1:2], 3, axis=2) if other == "RGBA" else lower[..., :3]
