"""Image files opened by their content: upright pixels, their size, time and bit depth; every failure has a reason."""

import io
from contextlib import contextmanager
from datetime import datetime
from functools import cache

import numpy as np
from PIL import Image, ImageCms, ImageOps

from reidflow.ingest import damage, depth, jpeg_xl
from reidflow.ingest.sources._sniff import HEIC, TIFF, is_image, what_is
from reidflow.spec.extras import install

_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "QOI", "TIFF", "WEBP")
_ORIENTATION, _EXIF_FOLDER, _TAKEN, _SUBFILE = 0x0112, 0x8769, 0x9003, 254
_NAMES = {"heic": "HEIF", "jxl": "JXL"}
"""Extra of this package -> Pillow's name of the format that it reads."""
SIDEWAYS = (5, 6, 7, 8)
TURNS = {
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
_CUT_SHORT = (
    "truncat",
    "premature end",
    "not enough image data",
    "unexpected end",
    "broken data stream",
    "unrecognized data stream",
)


class UnusableError(Exception):
    """An image that cannot be used; `reason` is a key of `listing.REASONS`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@contextmanager
def reasons():
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
    with reasons():
        return open_image(data, max_pixels)


def open_image(data: bytes, max_pixels: int) -> Image.Image:
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


def loaded(opened: Image.Image, data: bytes) -> Image.Image:
    """Return the decoded pixels, upright."""
    orientation = orientation_of(opened)
    try:
        if opened.format in ("JPEG", "MPO"):
            pixels = damage.jpeg_pixels(opened, data)
            if pixels is not None:
                image = Image.fromarray(pixels)
                return image.transpose(TURNS[orientation]) if orientation in TURNS else image
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


def orientation_of(opened: Image.Image) -> int:
    """Return how the pixels are stored, as EXIF counts it; 1 is upright.

    JPEG XL has an orientation of its own, which its decoder applies; that in its EXIF data does not count, unless the
    file holds a JPEG as it was.
    """
    if opened.format == "JXL" and not getattr(opened, "jpeg", False):
        return 1
    return _exif(opened).get(_ORIENTATION, 1)


def upright_size(opened: Image.Image) -> tuple[int, int]:
    """Return width and height of an opened image once it is upright."""
    # Pillow's TIFF reader states the upright size itself.
    sideways = opened.format != "TIFF" and orientation_of(opened) in SIDEWAYS
    return (opened.height, opened.width) if sideways else (opened.width, opened.height)


def _exif(opened: Image.Image) -> Image.Exif:
    """Return the EXIF data; damaged ones count as none."""
    try:
        return opened.getexif()
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return Image.Exif()


def taken(opened: Image.Image) -> str | None:
    """Return when the image was taken, ISO 8601, or None without EXIF."""
    try:
        text = str(_exif(opened).get_ifd(_EXIF_FOLDER).get(_TAKEN, "")).strip().rstrip("\0")
        return datetime.strptime(text, "%Y:%m:%d %H:%M:%S").isoformat()
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return None


def colours_of(image: Image.Image) -> Image.Image:
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


def deep_values(image: Image.Image, kind: str, data: bytes) -> np.ndarray:
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
