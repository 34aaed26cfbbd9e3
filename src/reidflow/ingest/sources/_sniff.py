"""Recognising images by their first bytes."""

import re
from pathlib import Path

from reidflow.ingest import jpeg_xl

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".heif", ".j2k", ".jp2", ".jpe", ".jpeg", ".jpg",
     ".jxl", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".tif", ".tiff", ".webp"}
)  # fmt: skip
_STARTS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\0\0\0\x0cjP  ",
    b"\xff\x4f\xff\x51",
    b"qoif",
    *jpeg_xl.STARTS,
)
_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_NETPBM = re.compile(rb"P[1-6]\s+[#0-9]")


def is_image(head: bytes) -> bool:
    """Return whether the first bytes (32 are enough) of a file are those of an image."""
    return (
        head.startswith(_STARTS)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[4:8] == b"ftyp" and head[8:12] in _BRANDS)
        or (head[:2] == b"BM" and head[6:10] == b"\0\0\0\0")
        or _NETPBM.match(head) is not None
    )


def counts_as_image(path: Path) -> bool:
    """Return whether to list a file as an image: its content or its suffix is that of an image.

    A file with the suffix of an image and other content is listed too, so that it ends in quarantine, with a reason.
    """
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return is_image(file.read(32))
    except OSError:
        return False
