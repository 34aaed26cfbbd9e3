"""Decoding: the bytes of a file to upright 8-bit RGB with its mask; every failure has a reason."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from reidflow.ingest import boxes, depth, mask_files
from reidflow.ingest.mask_files import Bounds
from reidflow.ingest.opening import (
    UnusableError,
    colours_of,
    deep_values,
    loaded,
    open_image,
    reasons,
    taken,
    upright_size,
)

_TURNED = ". They do of the photograph on its side: boxes are of the upright one, EXIF rotation applied"

Wanted = Callable[[int, int, Bounds | None], float]


@dataclass(frozen=True)
class Photo:
    """A decoded image, upright: a photograph, or the part of it in a box.

    `width` x `height` is its size. `colours` (RGB) may be smaller, since a JPEG is decoded no larger than needed; the
    image is `view` of it (left, top, right, bottom). Colours under a transparent alpha are kept. `mask` (L, 0 or 255,
    of full size) is None where there is none; `bounds` are its left, top, right, bottom. `source` is its origin (alpha,
    sidecar, segmentation, network, none), `foreground` the share that it covers, `background_present` whether colours vary where it is 0
    (without a mask: True). `box`: the pixels of the photograph that the image is, None where it is all of it. `spread`: the range of its
    values, None for 8 bits a channel. `visible`: the digest of what shows where alpha is the mask. `whole`: width
    and height of the photograph.
    """

    colours: Image.Image
    view: tuple[float, float, float, float]
    mask: Image.Image | None
    width: int
    height: int
    format: str
    source: str
    bounds: Bounds | None
    foreground: float | None
    background_present: bool
    time: str | None
    box: Bounds | None
    spread: depth.Spread | None
    visible: str | None
    whole: tuple[int, int]


def decode(
    data: bytes,
    sidecar: bytes | None,
    *,
    max_pixels: int,
    wanted: Wanted | None = None,
    box: boxes.Box | None = None,
    relative: bool = False,
    polygons: str | None = None,
    levels: depth.Levels | None = None,
    network: bytes | None = None,
) -> Photo:
    """Decode an image and its mask (`sidecar`: the bytes of a mask file, or None), or the part of both in a box.

    box: left, top, width, height in pixels, upright, or in shares of the sides where `relative`. polygons: the mask
    as COCO writes it, where there is no file of it; its polygons are relative as the box is. network: the mask of
    the part that a network computed (a PNG of any size), for an image without a mask of its own. levels: of images of more
    than 8 bits a channel, those that become 0 and 255; without them 16 bits lose their lower 8, and other kinds use
    the range of the image.
    wanted(width, height, bounds) of the part returns the scale, relative to the full size, below which a JPEG is not to
    be decoded. Raises UnusableError.
    """
    with reasons():
        opened = open_image(data, max_pixels)
        # Before anything reads EXIF data, for which Pillow loads a PNG and forgets how its samples are stored.
        deep = depth.kind_of(opened)
        size = upright_size(opened)
        part = _part(box, relative, size) if box else None
        width, height = (part[2] - part[0], part[3] - part[1]) if part else size
        source = "sidecar" if sidecar is not None else "segmentation"
        mask = mask_files.of_file(sidecar, max_pixels) if sidecar is not None else None
        if mask is None and polygons is not None:
            mask = mask_files.of_segmentation(polygons, relative, size, max_pixels)
        mask, time = mask_files.fitted(mask, opened, size, part) if mask else None, taken(opened)
        if wanted is not None and opened.format in ("JPEG", "MPO"):
            # These have no alpha, which would come before what a network computed.
            shape = mask or (mask_files.of_network(network, (width, height)) if network else None)
            scale = wanted(width, height, shape.getbbox() if shape else None)
            opened.draft(None, (max(1, int(opened.width * scale)), max(1, int(opened.height * scale))))
        name = "JPEG" if opened.format == "MPO" else opened.format or ""
        opened = loaded(opened, data)
        alpha = None if mask else mask_files.of_alpha(opened)
        values, spread = deep_values(opened, deep, data) if deep else None, None
        if values is None or depth.only_eight(values):
            colours = colours_of(opened if values is None else Image.fromarray(depth.eight_bits(values, *depth.FULL)))
        else:
            spread = depth.spread_of(_seen(values, part, alpha.crop(part) if alpha and part else alpha), deep)
            low, high = (levels or {}).get(deep) or spread.default
            colours = Image.fromarray(depth.eight_bits(values, low, high)).convert("RGB")
        colours, view = _view(colours, part, size)
        off = mask
        if alpha:
            mask, source = mask_files.cropped(mask_files.binary(alpha), part), "alpha"
            off = alpha.crop(part) if part else alpha
        elif mask is None and network:
            mask = off = mask_files.of_network(network, (width, height))
            source = "network"
        return Photo(
            colours,
            view,
            mask,
            width,
            height,
            name,
            source if mask else "none",
            mask.getbbox() if mask else None,
            mask.histogram()[255] / (width * height) if mask else None,
            _varies(colours, off) if off else True,
            time,
            part,
            spread,
            _visible_digest(colours, off) if alpha else None,
            size,
        )


def _part(box: boxes.Box, relative: bool, size: tuple[int, int]) -> Bounds:
    """Return the pixels that a box covers. Raises UnusableError where it covers none."""
    part = boxes.covered(box, relative, *size)
    other = boxes.other_unit(max(box[0] + box[2], box[1] + box[3]), relative) if max(size) > 1 else ""
    if part is None or other:
        turned = "" if other or relative or boxes.covered(box, relative, *size[::-1]) is None else _TURNED
        unit = "shares of the sides" if relative else "pixels"
        what = "cover no pixel" if part is None else "are no box"
        raise UnusableError(
            "box",
            f"left, top, width, height = {', '.join(f'{value:g}' for value in box)} ({unit}) {what} of the "
            f"photograph, which has {size[0]} x {size[1]} (upright){other or turned}",
        )
    return part


def _view(
    colours: Image.Image, part: Bounds | None, size: tuple[int, int]
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """Return the pixels of `colours`, maybe decoded smaller than `size`, that `part` touches, and its place in them."""
    if part is None:
        return colours, (0.0, 0.0, float(colours.width), float(colours.height))
    x, y = colours.width / size[0], colours.height / size[1]
    left, top, right, bottom = part[0] * x, part[1] * y, part[2] * x, part[3] * y
    edges = math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)
    return colours.crop(edges), (left - edges[0], top - edges[1], right - edges[0], bottom - edges[1])


def _seen(values: np.ndarray, part: Bounds | None, off: Image.Image | None) -> np.ndarray:
    """Return the values of the image that are not under a transparent alpha."""
    if part is not None:
        values = values[part[1] : part[3], part[0] : part[2]]
    shown = values if off is None else values[np.asarray(off) > 0]
    return shown if shown.size else values


def _visible_digest(colours: Image.Image, alpha: Image.Image) -> str:
    """Return the SHA-256 of an image's size, of where it shows at all, and of the colours there."""
    shows = alpha.point([0] + [255] * 255)
    bounds = shows.getbbox()
    shows, shown = shows.crop(bounds), Image.new("RGB", (bounds[2] - bounds[0], bounds[3] - bounds[1]))
    shown.paste(colours.crop(bounds), mask=shows)
    digest = hashlib.sha256(f"{alpha.width} x {alpha.height}, {bounds}".encode())
    digest.update(shows.convert("1", dither=Image.Dither.NONE).tobytes())
    digest.update(shown.tobytes())
    return digest.hexdigest()


def _varies(colours: Image.Image, off: Image.Image) -> bool:
    """Return whether colours differ among the pixels where `off` is 0."""
    hidden = off.point([255] + [0] * 255)
    if colours.size != hidden.size:
        hidden = hidden.resize(colours.size, Image.Resampling.NEAREST)
    counts = np.asarray(colours.histogram(hidden)).reshape(3, 256)
    return bool(((counts > 0).sum(axis=1) > 1).any())
