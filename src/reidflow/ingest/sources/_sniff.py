"""Recognising images, and files taken for images, by their first bytes."""

import re
from pathlib import Path

from reidflow.ingest import jpeg_xl

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".heif", ".j2k", ".jp2", ".jpe", ".jpeg", ".jpg",
     ".jxl", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".tif", ".tiff", ".webp"}
)  # fmt: skip
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_STARTS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    *TIFF,
    b"\0\0\0\x0cjP  ",
    b"\xff\x4f\xff\x51",
    b"qoif",
    *jpeg_xl.STARTS,
)
HEIC = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_BRANDS = HEIC | {b"avif", b"avis"}
_STARTS_OF = {
    "lfs": (b"version https://git-lfs",),
    "annex": (b"/annex/objects/",),
    "zip": (b"PK\3\4",),
    "gzip": (b"\x1f\x8b",),
    "bzip2": (b"BZh",),
    "xz": (b"\xfd7zXZ",),
    "zstd": (b"\x28\xb5\x2f\xfd",),
    "7z": (b"7z\xbc\xaf",),
    "rar": (b"Rar!",),
    "numpy": (b"\x93NUMPY",),
    "hdf5": (b"\x89HDF",),
    "arrow": (b"ARROW1",),
    "sqlite": (b"SQLite format 3",),
    "pickle": (b"\x80",),
    "pdf": (b"%PDF",),
    "ole": (b"\xd0\xcf\x11\xe0",),
    "raw": (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\0"),
    "matroska": (b"\x1aE\xdf\xa3",),
    "photoshop": (b"8BPS",),
    "openexr": (b"v/1\x01",),
    "appledouble": (b"\0\5\x16\7",),
}
"""Kinds of files that are neither images nor tables of text -> how they begin."""
POINTERS = frozenset({"lfs", "annex"})
COMPRESSED = frozenset({"zip", "gzip", "bzip2", "xz", "zstd", "7z", "rar"})
_PAGE = "a web page, perhaps an error or a login: download the file again"
_ANSWER = "text of a server, perhaps an error: download the file again"
_VIDEO = "a video: save its frames as images"
_RAW = "a camera's raw file: convert it to TIFF or JPEG"
_ARRAY = "an array: save it as an image, e.g. TIFF"
_FOR_IMAGES = {
    **dict.fromkeys(COMPRESSED, "an archive: unpack it"),
    "lfs": "a pointer of Git LFS, not the file: run `git lfs pull` where it lies",
    "annex": "a pointer of git-annex, not the file: run `git annex get .` where it lies",
    "raw": _RAW,
    "matroska": _VIDEO,
    "numpy": _ARRAY,
    "hdf5": _ARRAY,
    "pdf": "a PDF: export its image as PNG or TIFF",
    "photoshop": "a Photoshop file: export it as PNG or TIFF",
    "openexr": "an OpenEXR file: export it as TIFF",
    "appledouble": "what macOS keeps beside a file, not the file: remove it",
    "ole": "a file of Windows, such as Thumbs.db: remove it",
}
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


def kind_of(data: bytes) -> str:
    """Return the kind of a file that is neither an image nor text, by its first bytes; '' for others."""
    return next((kind for kind, starts in _STARTS_OF.items() if data.startswith(starts)), "")


def what_is(data: bytes) -> str:
    """Return what a file is that is no image, and what to do, by its first bytes (512 are enough); '' if unknown."""
    head = data[:512]
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head and not head.strip(b"\0"):
        return "zeros, as of a copy that was never finished: copy the file again"
    if head[4:8] == b"ftyp":
        return _RAW if head[8:12] == b"crx " else _VIDEO
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _VIDEO
    if head[128:132] == b"DICM":
        return "a DICOM file: export it as PNG or TIFF"
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return _PAGE
    if b"<svg" in text:
        return "an SVG: export it as PNG"
    if text.startswith((b"<?xml", b'{"', b"<error")):
        return _ANSWER
    return _FOR_IMAGES.get(kind_of(head), "")
