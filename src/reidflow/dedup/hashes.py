"""Perceptual hashes of stored images by imagehash, and the pairs of similar hashes by FAISS."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from reidflow.dedup.images import Images
from reidflow.dedup.neighbours import MOST
from reidflow.spec.errors import ReidflowError
from reidflow.store.processes import map_in_order

FUNCTIONS = {"ahash": "average_hash", "dhash": "dhash", "phash": "phash", "whash": "whash"}
"""Name of a hash -> name of imagehash's function."""
SIDES = {64: 8, 256: 16}  # bits -> imagehash's hash_size
CHUNK = 256  # images per task of a process
FEWEST = 4096  # fewer images are hashed before processes would have started
QUERIES = 512  # hashes compared with all others at once


def image_hashes(images: np.ndarray, rows: np.ndarray, name: str, bits: int = 64, workers: int = 1) -> np.ndarray:
    """Return the hashes of the given rows of an image store, (R, bits / 8) uint8, the first bit being the highest.

    images: (N, H, W, 3) uint8, maybe memory-mapped; rows: (R,) int; name: ahash, dhash, phash or whash; bits: 64 or
    256.
    workers: processes; they change only the time.
    Library: imagehash.average_hash, dhash, phash, whash with their default parameters.
    """
    tasks = ((chunk, name, bits) for chunk in _chunks(images, rows))
    found = list(map_in_order(_hash_chunk, tasks, workers if len(rows) >= FEWEST else 1))
    return np.concatenate([np.empty((0, bits // 8), np.uint8), *found])


def _chunks(images: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), CHUNK):
        yield np.stack([images[row] for row in rows[start : start + CHUNK]])


def _hash_chunk(images: np.ndarray, name: str, bits: int) -> np.ndarray:
    import imagehash

    function = getattr(imagehash, FUNCTIONS[name])
    hashes = [function(Image.fromarray(image), hash_size=SIDES[bits]).hash for image in images]
    return np.packbits(np.reshape(hashes, (len(images), bits)), axis=1)


def close_pairs(hashes: np.ndarray, distance: int, rows: slice | None = None) -> np.ndarray:
    """Return every pair of hashes that differ in at most `distance` bits: (P, 3) int64 of i, j > i, and the distance.

    hashes: (N, B) uint8, 8 bits a byte. rows: those of i, by default all. Sorted by (i, j). Time grows with N^2, memory with
    N and the pairs. Raises ReidflowError for more than `MOST` pairs.
    """
    pairs, reach = bounded_pairs(pairs_of(hashes, distance, rows), distance)
    if reach < distance:
        raise ReidflowError(
            f"more than {MOST:,} pairs of images have hashes that differ in at most {distance} of {8 * hashes.shape[1]} "
            f"bits. Lower the largest threshold, to {reach} at most."
            if reach >= 0
            else f"more than {MOST:,} pairs of images have equal hashes: the images are too alike for this method."
        )
    return pairs


def pairs_of(hashes: np.ndarray, distance: int, rows: slice | None = None) -> Iterator[np.ndarray]:
    """Yield the pairs of `close_pairs` in parts, (P, 3) int64.

    Library: FAISS, IndexBinaryFlat.range_search.
    """
    import faiss

    hashes = np.ascontiguousarray(hashes)
    first, end, _ = (rows or slice(None)).indices(len(hashes))
    for start in range(first, end, QUERIES):
        index = faiss.IndexBinaryFlat(8 * hashes.shape[1])
        index.add(hashes[start:])
        # FAISS returns what is nearer than its radius, each hash itself, and pairs within the block from both sides.
        limits, apart, others = index.range_search(hashes[start : min(start + QUERIES, end)], distance + 1)
        ones = np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64)))
        once = others > ones
        yield np.stack([start + ones[once], start + others[once], apart[once].astype(np.int64)], axis=1)


def bounded_pairs(parts: Iterable[np.ndarray], reach: int) -> tuple[np.ndarray, int]:
    """Return the pairs of all parts (P, 3), sorted, up to the greatest distance at which they are at most `MOST`.

    reach: the distance up to which the parts have all pairs. Also returns the greatest distance, at most `reach`; it does
    not depend on how the pairs are divided into parts. -1: even those at distance 0 are more, and none is returned.
    """
    kept, total = [np.empty((0, 3), np.int64)], 0
    for part in parts:
        kept.append(part[part[:, 2] <= reach])
        total += len(kept[-1])
        while total > MOST:
            reach -= 1
            kept = [some[some[:, 2] <= reach] for some in kept]
            total = sum(map(len, kept))
    pairs = np.concatenate(kept)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], reach


def save_pairs(file: Path, parts: Iterable[np.ndarray], reach: int) -> None:
    """Write the `bounded_pairs` of a shard of the rows."""
    pairs, reach = bounded_pairs(parts, reach)
    np.savez(file, pairs=pairs, reach=reach)


def load_pairs(files: Iterable[str]) -> tuple[np.ndarray, int]:
    """Return the `bounded_pairs` of all rows from those of their shards."""
    opened = [np.load(file) for file in files]
    return bounded_pairs((shard["pairs"] for shard in opened), min(int(shard["reach"]) for shard in opened))


def hash_pairs(images: Images, name: str, bits: int, loosest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs (P, 2) int64 of rows, i < j, whose hashes differ in at most `loosest` bits, and in how many."""
    hashes = image_hashes(images.pixels, images.rows, name, bits, images.workers)
    found = close_pairs(hashes, int(np.floor(loosest)), images.first)
    return found[:, :2], found[:, 2].astype(np.float64)
