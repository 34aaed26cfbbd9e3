"""Perceptual hashes of stored images, bit for bit those of the `imagehash` library, many at a time.

The grey image and each of its smaller sizes are made once for all hashes; everything runs on whole blocks of images.
"""

import numpy as np
from scipy import fft

from reidflow.dedup.resize import Resizer
from reidflow.dedup.wavelet import without_mean

Kind = tuple[str, int]

BLOCK = 2**21  # grey pixels at a time
SIDES = {64: 8, 256: 16}
KINDS: tuple[Kind, ...] = tuple((name, bits) for name in ("ahash", "dhash", "phash", "whash") for bits in SIDES)
FREQUENCIES = 4  # pHash looks at an image of so many times the side of the hash


def image_hashes(images: np.ndarray, rows: np.ndarray, kinds: tuple[Kind, ...] = KINDS) -> dict[Kind, np.ndarray]:
    """Return the hashes of the given rows of an image store, by (name, bits).

    images: (N, H, W, 3) uint8, maybe memory-mapped; rows: (R,) int. Each hash is (R, bits / 64) uint64, the first bit
    of imagehash's matrix being the highest of the first word. Names are ahash, dhash, phash and whash; 64 or 256 bits.
    Source: imagehash.average_hash, dhash, phash, whash with their default parameters.
    """
    found = {kind: np.empty((len(rows), kind[1] // 64), np.uint64) for kind in kinds}
    block = max(1, BLOCK // (images.shape[1] * images.shape[2]))
    for start in range(0, len(rows), block):
        chosen = slice(start, start + block)
        grey = Resizer([images[row] for row in rows[chosen]])
        for name, bits in kinds:
            found[name, bits][chosen] = _packed(_BITS[name](grey, SIDES[bits]))
    return found


def ahash(images: np.ndarray, rows: np.ndarray, bits: int = 64) -> np.ndarray:
    """Return the average hash, (R, bits / 64) uint64: which cells of the small grey image exceed its mean."""
    return image_hashes(images, rows, (("ahash", bits),))["ahash", bits]


def dhash(images: np.ndarray, rows: np.ndarray, bits: int = 64) -> np.ndarray:
    """Return the difference hash, (R, bits / 64) uint64: which cells exceed their left neighbour."""
    return image_hashes(images, rows, (("dhash", bits),))["dhash", bits]


def phash(images: np.ndarray, rows: np.ndarray, bits: int = 64) -> np.ndarray:
    """Return the perceptual hash, (R, bits / 64) uint64: which low frequencies exceed their median."""
    return image_hashes(images, rows, (("phash", bits),))["phash", bits]


def whash(images: np.ndarray, rows: np.ndarray, bits: int = 64) -> np.ndarray:
    """Return the wavelet hash, (R, bits / 64) uint64: which Haar averages exceed their median."""
    return image_hashes(images, rows, (("whash", bits),))["whash", bits]


def _average_bits(grey: Resizer, side: int) -> np.ndarray:
    pixels = grey.at(side, side)
    return pixels > pixels.mean(axis=(1, 2), keepdims=True)


def _difference_bits(grey: Resizer, side: int) -> np.ndarray:
    pixels = grey.at(side + 1, side)
    return pixels[:, :, 1:] > pixels[:, :, :-1]


def _frequency_bits(grey: Resizer, side: int) -> np.ndarray:
    pixels = grey.at(side * FREQUENCIES, side * FREQUENCIES).astype(np.float64)
    low = fft.dct(fft.dct(pixels, axis=1)[:, :side], axis=2)[:, :, :side]
    return low > np.median(low.reshape(len(low), -1), axis=1)[:, None, None]


def _wavelet_bits(grey: Resizer, side: int) -> np.ndarray:
    """Compare sums of whole numbers: the Haar averages but for a factor and a constant that no bit depends on.

    Only where the two middle sums are equal do the bits hang on imagehash's rounding; there its steps are repeated.
    """
    scale = max(2 ** int(np.log2(grey.shortest)), side)
    pixels = grey.at(scale, scale)
    cell = scale // side
    columns = pixels.reshape(-1, side, cell, scale).sum(axis=2, dtype=np.int32)
    sums = columns.reshape(-1, side, side, cell).sum(axis=3)
    ranked = np.sort(sums.reshape(len(sums), -1), axis=1)
    below, above = ranked[:, side * side // 2 - 1], ranked[:, side * side // 2]
    bits = sums > below[:, None, None]
    tied = np.flatnonzero(below == above)
    if len(tied):
        averages = without_mean(pixels[tied], side)
        bits[tied] = averages > np.median(averages.reshape(len(tied), -1), axis=1)[:, None, None]
    return bits


_BITS = {"ahash": _average_bits, "dhash": _difference_bits, "phash": _frequency_bits, "whash": _wavelet_bits}


def _packed(bits: np.ndarray) -> np.ndarray:
    return np.packbits(bits.reshape(len(bits), -1), axis=1).view(">u8").astype(np.uint64)
