"""Damage of image files at which decoders merely warn: they fill in grey, black or noise, and Pillow says nothing.

JPEGs are decoded by simplejpeg, the same library (libjpeg-turbo) and bits as Pillow's, since it passes warnings on.
"""

import re
import zlib

import numpy as np
import simplejpeg
from PIL import Image

_COMPRESSION, _DEFLATE = 259, (8, 32946)
_OFFSETS, _COUNTS = (273, 324), (279, 325)
_ENDING = 1024
"""Bytes of 0 at the end of compressed data that a whole file does not have: a copy that was never finished."""
_WIDEST = 32
"""Bytes of a pixel, at most."""
_BLOCK = 2**20
_SEALED = ("AVIF", "HEIF", "QOI", "WEBP")
_FEW = 16
"""Bytes left over at the end of a JPEG's data that some cameras write."""
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")


class DamagedError(Exception):
    """Pixels that are damaged: what the decoder said."""


def jpeg_pixels(image: Image.Image, data: bytes) -> np.ndarray | None:
    """Return the pixels, (H, W) or (H, W, 3) uint8, of an opened JPEG that is not loaded yet, at the size of its draft.

    None where Pillow has to decode it. Raises DamagedError.
    """
    space = {"RGB": "RGB", "L": "GRAY"}.get(image.mode)
    if space is None:
        _decoded_jpeg(data, "GRAY", 1, 1)
        return None
    pixels = _decoded_jpeg(data, space, image.height, image.width)
    if pixels is None or pixels.shape[:2] != (image.height, image.width):
        return None
    return pixels[..., 0] if space == "GRAY" else pixels


def check(image: Image.Image, data: bytes) -> None:
    """Raise DamagedError where the pixels of a file that Pillow has loaded are damaged; JPEGs are checked above."""
    if image.format in _SEALED and not any(data[-_ENDING:]) and len(data) > _ENDING:
        zeros = len(data) - len(data.rstrip(b"\0"))
        raise DamagedError(f"truncated: its last {zeros} bytes are 0, as of a copy that was never finished")
    if image.format == "TIFF" and image.tag_v2.get(_COMPRESSION) in _DEFLATE:
        _check_deflated(image, data)


def _decoded_jpeg(data: bytes, space: str, height: int, width: int) -> np.ndarray | None:
    """Return the pixels at no less than a size, None where the decoder complains of what does not concern the pixels."""
    try:
        return simplejpeg.decode_jpeg(data, space, min_height=height, min_width=width, strict=True)
    except ValueError as error:
        said = str(error)
        if ("Corrupt JPEG data" in said or "Premature end" in said) and not _padded(said, data):
            raise DamagedError(said) from error
    return None


def _padded(said: str, data: bytes) -> bool:
    """Return whether what is left over before a marker is padding, as some cameras and editors write it."""
    match = _LEFT_OVER.search(said)
    if not match:
        return False
    count, marker = int(match[1]), re.escape(bytes([0xFF, int(match[2], 16)]))
    padding = rb"(?:\x00{%d}|\xff{%d})%s" % (count, count, marker)
    return count < _FEW or re.search(padding, data) is not None


def _check_deflated(image: Image.Image, data: bytes) -> None:
    """Check the strips or tiles of a TIFF compressed by deflate, whose checksums Pillow drops."""
    tags = image.tag_v2
    offsets, counts = (next((tags[tag] for tag in pair if tag in tags), ()) for pair in (_OFFSETS, _COUNTS))
    for offset, count in zip(offsets, counts, strict=False):
        try:
            _inflate(data[offset : offset + count], _WIDEST * image.width * image.height)
        except zlib.error as error:
            raise DamagedError(f"the strip or tile at byte {offset}: {error}") from error


def _inflate(packed: bytes, most: int) -> None:
    """Decompress, in little memory, no more than `most` bytes. Raises zlib.error where the data or their checksum is wrong."""
    inflater, size = zlib.decompressobj(), 0
    while packed and not inflater.eof and size <= most:
        size += len(inflater.decompress(packed, _BLOCK))
        packed = inflater.unconsumed_tail
    if not inflater.eof and size <= most:
        raise zlib.error("incomplete or truncated stream")
