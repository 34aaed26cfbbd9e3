"""Masks as data sets give them: alpha, files, segmentations, and those that a network computed; 0 or 255, of the image's size."""

import io

import numpy as np
from PIL import Image

from reidflow.ingest import boxes, depth, segmentation
from reidflow.ingest.opening import (
    SIDEWAYS,
    TURNS,
    UnusableError,
    colours_of,
    deep_values,
    loaded,
    open_image,
    orientation_of,
    reasons,
)

_LABELS = 32
"""Values of a mask file below which it holds labels and no levels."""
_DARK, _MIDDLE, _GREYS = 0.1, 0.125, 48
"""Share of the brightest up to which a level is dark; share of pixels between dark and bright, and levels of these, that no mask has."""

Bounds = tuple[int, int, int, int]


def binary(values: Image.Image) -> Image.Image:
    """Return a mode L mask, 255 where `values` (L) exceeds half of its largest value, so that 0/1 masks work as well.

    Raises UnusableError if it is 0 everywhere.
    """
    highest = values.getextrema()[1]
    if highest == 0:
        raise UnusableError("empty_mask", "the mask is 0 everywhere: no animal is in it")
    return values.point([255 if 2 * v > highest else 0 for v in range(256)])


def cropped(mask: Image.Image, part: Bounds | None) -> Image.Image:
    """Return the part of a mask that is in a box; all of it without one. Raises UnusableError where nothing is in it."""
    if part is None:
        return mask
    mask = mask.crop(part)
    if mask.getbbox() is None:
        raise UnusableError("empty_mask", "the mask is 0 everywhere in the box: no animal is in it")
    return mask


def of_file(data: bytes, max_pixels: int) -> Image.Image:
    """Return the mask in a file of its own: its alpha where it has one, else the brightest of its channels."""
    try:
        with reasons():
            image = open_image(data, max_pixels)
            deep = depth.kind_of(image)
            image = loaded(image, data)
            values = of_alpha(image)
            if values is None:
                values = Image.fromarray(_brightest(image, deep, data))
                _require_mask(values)
            return binary(_without_labels(values))
    except UnusableError as error:
        raise UnusableError(error.reason, f"its mask: {error.detail}") from error


def _require_mask(values: Image.Image) -> None:
    """Raise UnusableError for a photograph: much of it is neither dark nor bright, and of many levels."""
    counts, levels = np.asarray(values.histogram()), np.arange(256) / max(1, values.getextrema()[1])
    middle = counts[(levels > _DARK) & (levels < 1 - _DARK)] / counts.sum()
    if middle.sum() > _MIDDLE and (middle > _MIDDLE / 128).sum() > _GREYS:
        raise UnusableError(
            "unreadable",
            "a photograph, or a cut-out of one, and no mask: write 255 where the animal is and 0 elsewhere, or a PNG with alpha",
        )


def _without_labels(values: Image.Image) -> Image.Image:
    """Return a mask (L); small values are labels, as of parts or individuals, and no levels: any but 0 is 255.

    255 among them marks outlines that are left out, as in Pascal VOC. Raises UnusableError where no label is 0.
    """
    counts = values.histogram()
    labels = [value for value in range(1, _LABELS) if counts[value]]
    if any(counts[_LABELS:255]) or sum(counts[1:_LABELS]) <= counts[255]:
        return values
    if not counts[0] and len(labels) > 1:
        raise UnusableError(
            "unreadable",
            f"the labels {', '.join(map(str, labels))} and no 0, so which is the animal is unknown: write 255 there and 0 elsewhere",
        )
    return values.point([0] + [255] * (_LABELS - 1) + [0] * (256 - _LABELS))


def _brightest(image: Image.Image, deep: str | None, data: bytes) -> np.ndarray:
    """Return the largest of each pixel's channels, uint8 (H, W); of more than 8 bits, as a share of the image's largest.

    Whole numbers of more than 8 bits that are all small are kept.
    """
    if deep is None:
        return np.asarray(colours_of(image)).max(axis=2)
    values = deep_values(image, deep, data)
    values = values.max(axis=2) if values.ndim == 3 else values
    if values.dtype.kind in "iu" and values.min() >= 0 and values.max() < _LABELS:
        return values.astype(np.uint8)
    return depth.eight_bits(values, 0, float(values.max()))


def of_segmentation(text: str, relative: bool, size: tuple[int, int], max_pixels: int) -> Image.Image | None:
    """Return the mask that a segmentation describes, None where it is blank."""
    try:
        found = segmentation.parse(text)
    except ValueError as error:
        raise UnusableError("segmentation", f"{error}: {text[:60]!r}. Write e.g. {segmentation.EXAMPLE}") from error
    if found is None:
        return None
    stated = segmentation.size_of(found)
    if stated and stated[0] * stated[1] > max_pixels:
        raise UnusableError("too_large", f"run lengths of {stated[0]} x {stated[1]} pixels are over max_pixels")
    mask = segmentation.draw(found, *size, relative=relative)
    other = "" if stated else boxes.other_unit(segmentation.largest(found), relative)
    if mask.getbbox() is None or other:
        raise UnusableError(
            "empty_mask",
            f"its segmentation covers no pixel of the photograph, which has {size[0]} x {size[1]} (upright){other}",
        )
    return mask


def fitted(mask: Image.Image, photograph: Image.Image, size: tuple[int, int], part: Bounds | None) -> Image.Image:
    """Return the mask (0 or 255) of an image from that of its photograph: scaled, turned upright, and cropped.

    A mask of the proportions of the photograph as it is stored is turned as the photograph is; one of exactly the
    box's size is that of the box. Raises UnusableError.
    """
    if mask.size == size:
        return cropped(mask, part)
    if _proportional(mask.size, size):
        return cropped(_scaled(mask, size), part)
    if part and mask.size == (part[2] - part[0], part[3] - part[1]):
        return mask
    orientation = orientation_of(photograph)
    if orientation in SIDEWAYS and _proportional(mask.size, size[::-1]):
        return cropped(_scaled(mask.transpose(TURNS[orientation]), size), part)
    exchanged = "Height and width seem to be exchanged: the size of run lengths is [height, width]. "
    raise UnusableError(
        "mask_size",
        f"its mask: {mask.width} x {mask.height} pixels, but the image has {size[0]} x {size[1]} (upright), which has other "
        f"proportions. {exchanged if _proportional(mask.size, size[::-1]) else ''}Make the mask from the whole image; any "
        "size of its proportions will do",
    )


def _scaled(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a mask (0 or 255) of another size. An animal too small to fill half a pixel keeps those that it fills most."""
    soft = np.asarray(mask.convert("F").resize(size, Image.Resampling.BILINEAR))
    return Image.fromarray(np.where(soft >= min(127.5, soft.max()), 255, 0).astype(np.uint8))


def _proportional(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether one size is the other scaled, sides rounded up or down to whole pixels."""
    low = max((side - 1) / whole for side, whole in zip(one, other, strict=True))
    high = min((side + 1) / whole for side, whole in zip(one, other, strict=True))
    return low < high


def of_network(data: bytes, size: tuple[int, int]) -> Image.Image:
    """Return a mask that a network computed, scaled to the image. Raises UnusableError where nothing is in it."""
    mask = Image.open(io.BytesIO(data), formats=["PNG"]).convert("L")
    if mask.getbbox() is None:
        raise UnusableError("empty_mask", "the network that computes masks found no animal")
    return _scaled(mask, size)


def of_alpha(image: Image.Image) -> Image.Image | None:
    """Return the alpha channel (L), or None where there is none, or it hides no pixel by half and hence is no mask.

    Raises UnusableError if it is 0 everywhere.
    """
    if not image.has_transparency_data or image.mode.startswith("I"):
        return None
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    alpha = image.getchannel("A") if "A" in image.getbands() else image.convert("RGBA").getchannel("A")
    lowest, highest = alpha.getextrema()
    if highest == 0:
        raise UnusableError("empty_mask", "alpha is 0 everywhere: no animal is in the mask")
    return alpha if 2 * lowest <= highest else None
