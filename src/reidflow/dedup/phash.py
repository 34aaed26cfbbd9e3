"""Perceptual hash of stored images, bit for bit the one of the `imagehash` library, in batches."""

import numpy as np
from PIL import Image
from scipy import fft

SIDE = 32  # imagehash.phash: hash_size 8 x highfreq_factor 4


def phash(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the 64-bit pHash of the given rows of an image store.

    images: (N, H, W, 3) uint8; rows: (R,) int. Returns (R,) uint64, the first bit of imagehash's 8 x 8 matrix being the highest.
    Source: imagehash.phash (DCT of the 32 x 32 grey image, its 8 x 8 low frequencies against their median).
    """
    hashes = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), 256):
        hashes[start : start + 256] = _block([images[row] for row in rows[start : start + 256]])
    return hashes


def _block(images: list[np.ndarray]) -> np.ndarray:
    grey = np.stack([_small(image) for image in images]).astype(np.float64)
    low = fft.dct(fft.dct(grey, axis=1), axis=2)[:, :8, :8].reshape(len(images), 64)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


def _small(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def close_pairs(hashes: np.ndarray, distance: int, block: int = 1024) -> np.ndarray:
    """Return every pair of hashes that differ in at most `distance` bits: (P, 3) int64 of i, j > i, and the distance.

    hashes: (N,) uint64. Exact; memory grows with `block` x N and the number of pairs.
    """
    found = []
    for start in range(0, len(hashes), block):
        rows = hashes[start : start + block]
        apart = np.bitwise_count(rows[:, None] ^ hashes[None, start:])
        i, j = np.nonzero(apart <= distance)
        keep = j > i
        found.append(np.stack([i[keep] + start, j[keep] + start, apart[i[keep], j[keep]]], axis=1))
    return np.concatenate(found).astype(np.int64) if found else np.empty((0, 3), np.int64)
