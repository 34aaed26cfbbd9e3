"""Rows of features kept by the digest of their image, in files that are complete or absent."""

import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reidflow.store.atomic import replacing


def keep(place: Path, digests: Sequence[str], features: np.ndarray) -> None:
    """Add rows, features float32 (n, V, C), to the folder `place` as one file named by its content."""
    names = np.array(digests, dtype="U64")
    with replacing(place / f"{_name(names, features)}.npz") as temporary:
        np.savez(temporary, digests=names, features=features)


def stored(place: Path) -> dict[str, tuple[Path, int]]:
    """Return file and row of every digest kept in `place`. A file whose content is not what its name says is removed."""
    found: dict[str, tuple[Path, int]] = {}
    for path in sorted(place.glob("[!.]*.npz")):
        content = _read(path)
        if content is None:
            path.unlink(missing_ok=True)
            continue
        for row, digest in enumerate(content[0].tolist()):
            found.setdefault(digest, (path, row))
    return found


def assemble(parts: Sequence[tuple[Path, Sequence[str | None]]], shape: tuple[int, int, int], target: Path) -> str:
    """Write an array of `shape`, float32 (N, V, C), to the .npy file `target`; return its SHA-256.

    parts: of some of the views each, in their order: the folder in which their rows are kept, and the digest of each row,
    None for a row of NaN. The array is written through a memory map, one file of rows at a time, so memory does not grow
    with the rows.
    """
    with replacing(target) as temporary:
        _fill(temporary, shape, parts)
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return digest


def _fill(path: Path, shape: tuple[int, int, int], parts: Sequence[tuple[Path, Sequence[str | None]]]) -> None:
    if 0 in shape:
        np.save(path, np.zeros(shape, np.float32))
        return
    array, first = _allocated(path, shape), 0
    array[[index for index, digest in enumerate(parts[0][1]) if digest is None]] = np.nan
    for place, digests in parts:
        found, last = stored(place), first
        wanted: dict[Path, list[tuple[int, int]]] = {}
        for index, digest in enumerate(digests):
            if digest is not None:
                source, row = found[digest]
                wanted.setdefault(source, []).append((index, row))
        for source, pairs in wanted.items():
            with np.load(source, allow_pickle=False) as content:
                features = content["features"]
            targets, rows = (list(column) for column in zip(*pairs, strict=True))
            last = first + features.shape[1]
            array[targets, first:last] = features[rows]
        first = last
    array.flush()


def _allocated(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Return a new .npy file as a memory map. Its room on the disk is taken first: a map that finds none kills."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.flush()
        size = file.tell() + math.prod(shape) * 4
        os.truncate(path, size)
        if hasattr(os, "posix_fallocate"):  # macOS has none
            os.posix_fallocate(file.fileno(), 0, size)
    return np.load(path, mmap_mode="r+")


def _read(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as content:
            names, features = content["digests"], content["features"]
    except Exception:  # a damaged archive raises whatever its damaged part leads to
        return None
    return (names, features) if _name(names, features) == path.stem else None


def _name(names: np.ndarray, features: np.ndarray) -> str:
    content = hashlib.sha256(names.tobytes())
    content.update(f"{features.dtype}{features.shape}".encode())
    content.update(np.ascontiguousarray(features).tobytes())
    return content.hexdigest()[:32]
