"""Decoding: the bytes of a file to upright 8-bit RGB with its mask; every failure has a reason."""

import hashlib
import io
import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import numpy as np
from PIL import Image, ImageCms, ImageOps

from reidflow.ingest import boxes, damage, depth, jpeg_xl, segmentation
from reidflow.ingest.sources._sniff import HEIC, TIFF, is_image, what_is
from reidflow.spec.extras import install

_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "QOI", "TIFF", "WEBP")
_ORIENTATION, _EXIF_FOLDER, _TAKEN, _SUBFILE = 0x0112, 0x8769, 0x9003, 254
_NAMES = {"heic": "HEIF", "jxl": "JXL"}
"""Extra of this package -> Pillow's name of the format that it reads."""
_SIDEWAYS = (5, 6, 7, 8)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns the pixels of an EXIF orientation upright."""
_RAW_FILE = "a camera's raw file: only its thumbnail can be read. Convert it to TIFF or JPEG"
_LABELS = 32
"""Values of a mask file below which it holds labels and no levels."""
_DARK, _MIDDLE, _GREYS = 0.1, 0.125, 48
"""Share of the brightest up to which a level is dark; share of pixels between dark and bright, and levels of these, that no mask has."""
_CUT_SHORT = (
    "truncat",
    "premature end",
    "not enough image data",
    "unexpected end",
    "broken data stream",
    "unrecognized data stream",
)

_TURNED = ". They do of the photograph on its side: boxes are of the upright one, EXIF rotation applied"

Bounds = tuple[int, int, int, int]
Wanted = Callable[[int, int, Bounds | None], float]


class UnusableError(Exception):
    """An image that cannot be used; `reason` is a key of `listing.REASONS`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


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
    with _reasons():
        opened = _open(data, max_pixels)
        # Before anything reads EXIF data, for which Pillow loads a PNG and forgets how its samples are stored.
        deep = depth.kind_of(opened)
        size = _upright_size(opened)
        part = _part(box, relative, size) if box else None
        width, height = (part[2] - part[0], part[3] - part[1]) if part else size
        source = "sidecar" if sidecar is not None else "segmentation"
        mask = _sidecar(sidecar, max_pixels) if sidecar is not None else None
        if mask is None and polygons is not None:
            mask = _segmented(polygons, relative, size, max_pixels)
        mask, time = _fitted(mask, opened, size, part) if mask else None, _taken(opened)
        if wanted is not None and opened.format in ("JPEG", "MPO"):
            # These have no alpha, which would come before what a network computed.
            shape = mask or (_computed(network, (width, height)) if network else None)
            scale = wanted(width, height, shape.getbbox() if shape else None)
            opened.draft(None, (max(1, int(opened.width * scale)), max(1, int(opened.height * scale))))
        name = "JPEG" if opened.format == "MPO" else opened.format or ""
        opened = _loaded(opened, data)
        alpha = None if mask else _alpha(opened)
        values, spread = _deep_values(opened, deep, data) if deep else None, None
        if values is None or depth.only_eight(values):
            colours = _colours(opened if values is None else Image.fromarray(depth.eight_bits(values, *depth.FULL)))
        else:
            spread = depth.spread_of(_seen(values, part, alpha.crop(part) if alpha and part else alpha), deep)
            low, high = (levels or {}).get(deep) or spread.default
            colours = Image.fromarray(depth.eight_bits(values, low, high)).convert("RGB")
        colours, view = _view(colours, part, size)
        off = mask
        if alpha:
            mask, source = _cropped(binary(alpha), part), "alpha"
            off = alpha.crop(part) if part else alpha
        elif mask is None and network:
            mask = off = _computed(network, (width, height))
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


def _cropped(mask: Image.Image, part: Bounds | None) -> Image.Image:
    if part is None:
        return mask
    mask = mask.crop(part)
    if mask.getbbox() is None:
        raise UnusableError("empty_mask", "the mask is 0 everywhere in the box: no animal is in it")
    return mask


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


def binary(values: Image.Image) -> Image.Image:
    """Return a mode L mask, 255 where `values` (L) exceeds half of its largest value, so that 0/1 masks work as well.

    Raises UnusableError if it is 0 everywhere.
    """
    highest = values.getextrema()[1]
    if highest == 0:
        raise UnusableError("empty_mask", "the mask is 0 everywhere: no animal is in it")
    return values.point([255 if 2 * v > highest else 0 for v in range(256)])


@contextmanager
def _reasons():
    """Turn whatever the decoders raise into UnusableError."""
    try:
        yield
    except (UnusableError, MemoryError):
        raise
    # Decoders raise almost any exception on hostile bytes; each concerns this file alone.
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        cut = isinstance(error, EOFError) or _ends_early(text)
        raise UnusableError("truncated" if cut else "unreadable", text[:300]) from error


def _ends_early(said: str) -> bool:
    return any(sign in said.lower() for sign in _CUT_SHORT)


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats that can be read here; those that run other programs (EPS) are left out."""
    Image.init()
    # The limit is `max_pixels`, which is checked from the header; Pillow's own would merely warn above its own value.
    Image.MAX_IMAGE_PIXELS = None
    return (*(name for name in _FORMATS if name in Image.OPEN), *_plugins())


def _plugins() -> list[str]:
    """Register the formats that optional packages read, and return their names."""
    found = []
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
        found.append("HEIF")
    except ImportError:
        pass
    try:
        import pillow_jxl  # noqa: F401

        found.append("JXL")
    except ImportError:
        pass
    return found


def header(data: bytes, max_pixels: int) -> Image.Image:
    """Return an image opened by its content, its pixels not decoded. Raises UnusableError."""
    with _reasons():
        return _open(data, max_pixels)


def _open(data: bytes, max_pixels: int) -> Image.Image:
    """Open by content, without decoding."""
    if not data:
        raise UnusableError("zero_size", "the file has no bytes")
    formats = _formats()
    if data.startswith(jpeg_xl.STARTS) and "JXL" in formats:
        _check_size(jpeg_xl.size_of(data) or (1, 1), max_pixels)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise UnusableError("truncated", f"the file has {len(data)} of {8 + int.from_bytes(data[4:8], 'little')} bytes")
    try:
        opened = Image.open(io.BytesIO(data), formats=formats)
    except Image.UnidentifiedImageError as error:
        for name, extra, starts in (
            ("HEIC", "heic", data[4:8] == b"ftyp" and data[8:12] in HEIC),
            ("JPEG XL", "jxl", data.startswith(jpeg_xl.STARTS)),
        ):
            if starts and _NAMES[extra] not in formats:
                remedy = f"install what reads it: {install(extra)}; or convert it to JPEG or PNG"
                raise UnusableError("unreadable", f"a {name} file: {remedy}") from error
        if data[8:10] == b"CR":
            raise UnusableError("unreadable", _RAW_FILE) from error
        if data.startswith(TIFF):
            raise UnusableError(
                "unreadable",
                "a TIFF of a kind that Pillow does not read (floats of 16 or 64 bits or in colour, over 4 channels, ...), or "
                "a damaged one: write it as RGB of 8 or 16 bits, or as grey of up to 32",
            ) from error
        begun = (
            "the header is truncated, damaged, or declares 0 pixels"
            if is_image(data[:32])
            else "no image format begins like that"
        )
        what = "" if is_image(data[:32]) else what_is(data)
        raise UnusableError("unreadable", f"{begun}: {data[:16]!r}{what and f'. It is {what}'}") from error
    _check_size(opened.size, max_pixels)
    if opened.format == "TIFF" and opened.tag_v2.get(_SUBFILE, 0) & 1:
        raise UnusableError("unreadable", _RAW_FILE)
    return opened


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise UnusableError("too_large", f"{size[0]} x {size[1]} pixels are over max_pixels ({max_pixels})")


def _loaded(opened: Image.Image, data: bytes) -> Image.Image:
    """Return the decoded pixels, upright."""
    orientation = _orientation(opened)
    try:
        if opened.format in ("JPEG", "MPO"):
            pixels = damage.jpeg_pixels(opened, data)
            if pixels is not None:
                image = Image.fromarray(pixels)
                return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
        opened.load()
        damage.check(opened, data)
    except damage.DamagedError as error:
        reason = "truncated" if _ends_early(str(error)) else "unreadable"
        raise UnusableError(reason, f"its pixels are damaged: {error}") from error
    if opened.format == "PNG":
        # Decoding skips the checksums of the pixels' own chunks: a flipped bit would be other colours.
        with Image.open(io.BytesIO(data), formats=("PNG",)) as whole:
            whole.verify()
    if orientation != 1:
        ImageOps.exif_transpose(opened, in_place=True)
    return opened


def _orientation(opened: Image.Image) -> int:
    """Return how the pixels are stored, as EXIF counts it; 1 is upright.

    JPEG XL has an orientation of its own, which its decoder applies; that in its EXIF data does not count, unless the
    file holds a JPEG as it was.
    """
    if opened.format == "JXL" and not getattr(opened, "jpeg", False):
        return 1
    return _exif(opened).get(_ORIENTATION, 1)


def _upright_size(opened: Image.Image) -> tuple[int, int]:
    # Pillow's TIFF reader states the upright size itself.
    sideways = opened.format != "TIFF" and _orientation(opened) in _SIDEWAYS
    return (opened.height, opened.width) if sideways else (opened.width, opened.height)


def _exif(opened: Image.Image) -> Image.Exif:
    """Return the EXIF data; damaged ones count as none."""
    try:
        return opened.getexif()
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return Image.Exif()


def _taken(opened: Image.Image) -> str | None:
    """Return when the image was taken, ISO 8601, or None without EXIF."""
    try:
        text = str(_exif(opened).get_ifd(_EXIF_FOLDER).get(_TAKEN, "")).strip().rstrip("\0")
        return datetime.strptime(text, "%Y:%m:%d %H:%M:%S").isoformat()
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return None


def _sidecar(data: bytes, max_pixels: int) -> Image.Image:
    """Return the mask in a file of its own: its alpha where it has one, else the brightest of its channels."""
    try:
        with _reasons():
            image = _open(data, max_pixels)
            deep = depth.kind_of(image)
            image = _loaded(image, data)
            values = _alpha(image)
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
        return np.asarray(_colours(image)).max(axis=2)
    values = _deep_values(image, deep, data)
    values = values.max(axis=2) if values.ndim == 3 else values
    if values.dtype.kind in "iu" and values.min() >= 0 and values.max() < _LABELS:
        return values.astype(np.uint8)
    return depth.eight_bits(values, 0, float(values.max()))


def _segmented(text: str, relative: bool, size: tuple[int, int], max_pixels: int) -> Image.Image | None:
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


def _fitted(mask: Image.Image, photograph: Image.Image, size: tuple[int, int], part: Bounds | None) -> Image.Image:
    """Return the mask (0 or 255) of an image from that of its photograph: scaled, turned upright, and cropped.

    A mask of the proportions of the photograph as it is stored is turned as the photograph is; one of exactly the
    box's size is that of the box. Raises UnusableError.
    """
    if mask.size == size:
        return _cropped(mask, part)
    if _proportional(mask.size, size):
        return _cropped(_scaled(mask, size), part)
    if part and mask.size == (part[2] - part[0], part[3] - part[1]):
        return mask
    orientation = _orientation(photograph)
    if orientation in _SIDEWAYS and _proportional(mask.size, size[::-1]):
        return _cropped(_scaled(mask.transpose(_TURNS[orientation]), size), part)
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


def _computed(data: bytes, size: tuple[int, int]) -> Image.Image:
    """Return a mask that a network computed, scaled to the image. Raises UnusableError where nothing is in it."""
    mask = Image.open(io.BytesIO(data), formats=["PNG"]).convert("L")
    if mask.getbbox() is None:
        raise UnusableError("empty_mask", "the network that computes masks found no animal")
    return _scaled(mask, size)


def _alpha(image: Image.Image) -> Image.Image | None:
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


def _colours(image: Image.Image) -> Image.Image:
    """Return 8-bit RGB, colours under a transparent alpha kept."""
    if image.mode == "RGB":
        return image
    if image.mode == "LAB":
        return ImageCms.profileToProfile(
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode == "P":
        # Via RGBA, else Pillow warns about every palette with transparent entries.
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.convert("RGB")


def _deep_values(image: Image.Image, kind: str, data: bytes) -> np.ndarray:
    """Return the values of a loaded image of more than 8 bits a channel. Raises UnusableError unless all are finite."""
    values = depth.values_of(image, kind, data)
    strange = values.size - np.isfinite(values).sum()
    if strange:
        raise UnusableError(
            "unreadable",
            f"{strange} of {values.size} pixels are not finite (NaN or infinite). Write a number in their place, e.g. the "
            "image's lowest",
        )
    return values


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
