"""Pixel arrays on disk, written row by row in any order, without holding them in memory."""

import io
import os
import shutil
from pathlib import Path

import numpy as np

from reidflow.spec.errors import ReidflowError
from reidflow.store.atomic import sync

_HEADER = 128
_BLOCK = 16 * 2**20


class RowFile:
    """An unfinished .npy file of uint8 (rows, *shape), named `path`.part until `finish`.

    The name of the unfinished file is fixed, so that one left by a killed process is overwritten.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, shape
        self.bytes = int(np.prod(shape))
        self.part = path.with_name(path.name + ".part")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = os.open(self.part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def finish(self, rows: list[int]) -> None:
        """Keep the given rows (ascending), in this order, write the header and rename the file to `path`."""
        self._close_holes(rows)
        os.ftruncate(self.file, _HEADER + len(rows) * self.bytes)
        os.pwrite(self.file, _header((len(rows), *self.shape)), 0)
        sync(self.part)
        self.part.replace(self.path)

    def discard(self) -> None:
        """Close the file, and remove it if it was not finished."""
        os.close(self.file)
        self.part.unlink(missing_ok=True)

    def write(self, row: bytes, index: int) -> None:
        """Write one row. Plain writes: a memory map would count every row as this process's own memory."""
        self._write(row, _HEADER + index * self.bytes)

    def _write(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            done = os.pwrite(self.file, view, offset)
            view, offset = view[done:], offset + done

    def _close_holes(self, rows: list[int]) -> None:
        """Move rows towards the front, run by run; a row never overwrites one that is still to be moved."""
        for first, last, target in _runs(rows):
            start, end = first * self.bytes, last * self.bytes
            shift = (first - target) * self.bytes
            for offset in range(start, end, _BLOCK) if shift else ():
                block = os.pread(self.file, min(_BLOCK, end - offset), _HEADER + offset)
                self._write(block, _HEADER + offset - shift)


def need_space(folder: Path, size: int) -> None:
    """Raise ReidflowError unless the disk of `folder` has `size` bytes free."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise ReidflowError(
            f"{folder}: the pixels need {size / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free. Free space, use a smaller "
            "image size, or put the results on another disk."
        )


def _runs(rows: list[int]) -> list[tuple[int, int, int]]:
    """Return the runs of consecutive numbers in `rows`: first, one past the last, position of the first in `rows`."""
    runs: list[tuple[int, int, int]] = []
    for position, row in enumerate(rows):
        if runs and runs[-1][1] == row:
            runs[-1] = (runs[-1][0], row + 1, runs[-1][2])
        else:
            runs.append((row, row + 1, position))
    return runs


def _header(shape: tuple[int, ...]) -> bytes:
    text = io.BytesIO()
    np.lib.format.write_array_header_1_0(text, {"descr": "|u1", "fortran_order": False, "shape": shape})
    if len(text.getvalue()) != _HEADER:
        raise ValueError(f"the header of {shape} does not fit into {_HEADER} bytes")
    return text.getvalue()
