"""Squares of the images of a listing: read from their files, decoded and framed, at any size."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reidflow.ingest.decode import Photo
from reidflow.ingest.depth import Levels
from reidflow.ingest.framing import Frame, framed
from reidflow.ingest.listing import Row
from reidflow.ingest.network_masks import NetworkMasks
from reidflow.ingest.opening import UnusableError
from reidflow.ingest.sources._sniff import POINTERS, kind_of, what_is


class Square(NamedTuple):
    """A decoded image, with its square: pixels (S, S, 3) and mask (S, S), uint8."""

    photo: Photo
    pixels: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Squares:
    """How images below `root` are read and framed; `frame` is a component of `frames/`, `levels` as `decode` takes them."""

    root: Path
    frame: Frame
    size: int
    max_pixels: int
    levels: Levels
    network: NetworkMasks | None

    def read(self, row: Row, read: dict[str, str]) -> Square:
        """Return the square of a row; put the SHA-256 of each file that is read into `read`. Raises UnusableError."""
        data = self._bytes(row.path, read)
        sidecar = self._bytes(row.mask, read) if row.mask else None
        return Square(
            *framed(
                data,
                sidecar,
                self.frame,
                self.size,
                max_pixels=self.max_pixels,
                box=row.box,
                relative=row.relative,
                polygons=row.segmentation,
                levels=self.levels,
                network=self.network.of(row.image, read[row.path]) if self.network else None,
            )
        )

    def _bytes(self, relative: str, read: dict[str, str]) -> bytes:
        try:
            data = (self.root / relative).read_bytes()
        except FileNotFoundError as error:
            raise UnusableError("missing", f"'{relative}' does not exist") from error
        except OSError as error:
            raise UnusableError("unreadable", f"'{relative}': {error.strerror}") from error
        read[relative] = hashlib.sha256(data).hexdigest()
        if kind_of(data) in POINTERS:
            raise UnusableError("unreadable", f"'{relative}' is {what_is(data)}")
        return data
