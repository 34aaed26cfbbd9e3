"""One photograph from its file into its row of the pixel arrays; the part of ingest that runs in parallel."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from reidflow.ingest.arrays import RowFile
from reidflow.ingest.decode import Photo, UnusableError, decode
from reidflow.ingest.framing import Frame, cut, scale_for
from reidflow.ingest.listing import Row


@dataclass(frozen=True)
class Settings:
    """What all photographs share. `frame` is that of a component of `frames/`, `images` and `masks` receive the rows."""

    root: Path
    frame: Frame
    size: int
    max_pixels: int
    images: RowFile
    masks: RowFile


@dataclass(frozen=True)
class Developed:
    """What became of a row of the listing: its row of the manifest and the mask's digest, or why not.

    `read` holds the SHA-256 of each file that was read, by its path in the dataset.
    """

    read: dict[str, str]
    facts: dict[str, object] | None
    mask_digest: str
    unusable: UnusableError | None


def develop(row: Row, index: int, settings: Settings) -> Developed:
    """Read, decode and frame the photograph of `row`, and write it as row `index` of the arrays."""
    read: dict[str, str] = {}
    try:
        data = _read(settings.root, row.path, read)
        sidecar = _read(settings.root, row.mask, read) if row.mask else None
        photo = decode(data, sidecar, max_pixels=settings.max_pixels, wanted=lambda w, h, b: _scale(settings, w, h, b))
    except UnusableError as unusable:
        return Developed(read, None, "", unusable)
    box = settings.frame(photo.width, photo.height, photo.bounds)
    pixels, mask = cut(photo, box, settings.size)
    pixels, mask = pixels.tobytes(), mask.tobytes()
    settings.images.write(pixels, index)
    settings.masks.write(mask, index)
    facts = _facts(photo, row, sha256=read[row.path], pixels=hashlib.sha256(pixels).hexdigest())
    return Developed(read, facts, hashlib.sha256(mask).hexdigest(), None)


def _scale(settings: Settings, width: int, height: int, bounds: tuple[int, int, int, int] | None) -> float:
    return scale_for(settings.frame(width, height, bounds), settings.size)


def _read(root: Path, relative: str, read: dict[str, str]) -> bytes:
    try:
        data = (root / relative).read_bytes()
    except FileNotFoundError as error:
        raise UnusableError("missing", f"'{relative}' is not there") from error
    except OSError as error:
        raise UnusableError("unreadable", f"'{relative}': {error.strerror}") from error
    read[relative] = hashlib.sha256(data).hexdigest()
    return data


def _facts(photo: Photo, row: Row, *, sha256: str, pixels: str) -> dict[str, object]:
    """Return the row of the manifest."""
    return {
        "image": row.image,
        "path": row.path,
        "sha256": sha256,
        "pixels": pixels,
        "identity": row.identity,
        "group": row.group,
        "flank": row.flank,
        "time": row.time or photo.time,
        "side": row.side,
        "width": photo.width,
        "height": photo.height,
        "format": photo.format,
        "mask": photo.source,
        "foreground": photo.foreground,
        "background_present": photo.background_present,
    }
