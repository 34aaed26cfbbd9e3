"""Damage of image files at which decoders merely warn: they fill in grey, black or noise, and Pillow says nothing."""

import re
import zlib

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


def found(image: Image.Image, data: bytes) -> str | None:
    """Return what is wrong with the pixels of a file that Pillow has loaded, or None."""
    if image.format in ("JPEG", "MPO"):
        return _jpeg(data)
    if image.format in _SEALED and not any(data[-_ENDING:]) and len(data) > _ENDING:
        zeros = len(data) - len(data.rstrip(b"\0"))
        return f"truncated: its last {zeros} bytes are 0, as of a copy that was never finished"
    if image.format == "TIFF" and image.tag_v2.get(_COMPRESSION) in _DEFLATE:
        return _deflated(image, data)
    return None


def _jpeg(data: bytes) -> str | None:
    """Return the decoder's warning about the compressed data, None where there is none that concerns the pixels."""
    try:
        # At an eighth of the size, in grey: the compressed data are read whole, and little else is done.
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, strict=True)
    except ValueError as error:
        said = str(error)
        if "Corrupt JPEG data" in said or "Premature end" in said:
            return None if _padded(said, data) else said
    return None


def _padded(said: str, data: bytes) -> bool:
    """Return whether what is left over before a marker is padding, as some cameras and editors write it."""
    match = _LEFT_OVER.search(said)
    if not match:
        return False
    count, marker = int(match[1]), re.escape(bytes([0xFF, int(match[2], 16)]))
    padding = rb"(?:\x00{%d}|\xff{%d})%s" % (count, count, marker)
    return count < _FEW or re.search(padding, data) is not None


def _deflated(image: Image.Image, data: bytes) -> str | None:
    """Return what is wrong with the strips or tiles of a TIFF compressed by deflate, whose checksums Pillow drops."""
    tags = image.tag_v2
    offsets, counts = (next((tags[tag] for tag in pair if tag in tags), ()) for pair in (_OFFSETS, _COUNTS))
    for offset, count in zip(offsets, counts, strict=False):
        try:
            _inflate(data[offset : offset + count], _WIDEST * image.width * image.height)
        except zlib.error as error:
            return f"the strip or tile at byte {offset}: {error}"
    return None


def _inflate(packed: bytes, most: int) -> None:
    """Decompress, in little memory, no more than `most` bytes. Raises zlib.error where the data or their checksum is wrong."""
    inflater, size = zlib.decompressobj(), 0
    while packed and not inflater.eof and size <= most:
        size += len(inflater.decompress(packed, _BLOCK))
        packed = inflater.unconsumed_tail
    if not inflater.eof and size <= most:
        raise zlib.error("incomplete or truncated stream")
