"""Mean structural similarity of many pairs of images, the filters of an image shared by all of its pairs."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

SIDE = 128
WINDOW = 7  # pixels; a side must be at least as long
KEPT = 2**28  # bytes of filtered planes that stay in memory
AREA = WINDOW * WINDOW
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
STEP = 2.0**-20  # copies are exactly 1; the last bits of a mean decide nothing
TO_COVARIANCE = 1 / (AREA * (AREA - 1))


@dataclass(frozen=True)
class Planes:
    """What one channel of an image brings to each of its pairs; planes lose three pixels at each border.

    Attributes:
        pixels: (S, S) int32.
        sums: (S - 6, S - 6) int32, sums over the window.
        squares: float32, squared means + C1 / 2.
        variances: float32, sample variances + C2 / 2.
    """

    pixels: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    variances: np.ndarray


def pair_ssim(
    images: np.ndarray, rows: np.ndarray, pairs: np.ndarray, side: int = SIDE, grey: bool = True
) -> np.ndarray:
    """Return the mean SSIM of pairs of images, (P,) float64 in steps of 2^-20, 1 for equal images.

    images: image store (N, H, W, 3) uint8, maybe memory-mapped; rows: (R,) int; pairs: (P, 2) int into `rows`. Images
    are resized to `side` pixels (Pillow, area average) and made grey unless `grey` is false; colours are averaged.
    Equal to skimage.metrics.structural_similarity(a, b, data_range=255, channel_axis=None or -1): uniform window of
    7 pixels, sample covariance, K1 0.01, K2 0.03, borders left out. Sums are whole numbers, thus exact.
    Sorted pairs are fastest: the filtered planes of the latest images are kept, 256 MB of them.
    Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861.
    """

    channels = 1 if grey else 3

    @lru_cache(KEPT // (16 * channels * side * side))
    def planes(index: int) -> list[Planes]:
        return [_planes(channel) for channel in resized(images[rows[index]], side, grey)]

    work = _Workspace(side)
    values = np.zeros(len(pairs))
    for number, (first, second) in enumerate(pairs.tolist()):
        for one, two in zip(planes(first), planes(second), strict=True):
            values[number] += work.similarity(one, two) / channels
    return np.rint(values / STEP) * STEP


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean SSIM of two grey pictures (H, W) in the settings of `pair_ssim`; at least 7 pixels a side."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    sum_a, sum_b = _window_sums(a), _window_sums(b)
    variances = (AREA * _window_sums(a * a + b * b) - sum_a**2 - sum_b**2) * TO_COVARIANCE
    covariances = (AREA * _window_sums(a * b) - sum_a * sum_b) * TO_COVARIANCE
    mean_a, mean_b = sum_a / AREA, sum_b / AREA
    upper = (2 * mean_a * mean_b + C1) * (2 * covariances + C2)
    return float((upper / ((mean_a**2 + mean_b**2 + C1) * (variances + C2))).mean())


def resized(image: np.ndarray, side: int, grey: bool) -> np.ndarray:
    """Return an (H, W, 3) uint8 image at side x side, (C, side, side) uint8: one grey channel or three colours."""
    picture = Image.fromarray(image).convert("L" if grey else "RGB").resize((side, side), Image.Resampling.BOX)
    return np.moveaxis(np.atleast_3d(np.asarray(picture)), 2, 0)


def _planes(pixels: np.ndarray) -> Planes:
    values = np.ascontiguousarray(pixels, np.int32)
    sums = _window_sums(values)
    variances = (AREA * _window_sums(values * values) - sums * sums) * TO_COVARIANCE
    squares = np.square(sums / AREA)
    return Planes(values, sums, (squares + C1 / 2).astype(np.float32), (variances + C2 / 2).astype(np.float32))


def _window_sums(values: np.ndarray) -> np.ndarray:
    """Return the sums over each window that lies within the image: 2, 4 and 7 of them at a time, along both axes."""
    two = values[..., :-1] + values[..., 1:]
    four = two[..., :-2] + two[..., 2:]
    values = four[..., :-3] + two[..., 4:-1] + values[..., 6:]
    two = values[..., :-1, :] + values[..., 1:, :]
    four = two[..., :-2, :] + two[..., 2:, :]
    return four[..., :-3, :] + two[..., 4:-1, :] + values[..., 6:, :]


class _Workspace:
    """Memory for the steps of one pair, used again for the next."""

    def __init__(self, side: int) -> None:
        inner = (side - WINDOW + 1, side - WINDOW + 1)
        self.product = np.empty((side, side), np.int32)
        self.whole = np.empty(inner, np.int32)
        self.upper, self.lower, self.other = (np.empty(inner, np.float32) for _ in range(3))

    def similarity(self, a: Planes, b: Planes) -> float:
        """Return the mean over pixels of (2 ab + C1)(2 cov + C2) / ((aa + bb + C1)(va + vb + C2))."""
        covariances = _window_sums(np.multiply(a.pixels, b.pixels, out=self.product))
        covariances *= AREA
        np.multiply(a.sums, b.sums, out=self.whole)
        covariances -= self.whole
        self.upper[...] = self.whole
        self.upper *= np.float32(2 / AREA**2)
        self.upper += np.float32(C1)
        self.other[...] = covariances
        self.other *= np.float32(2 * TO_COVARIANCE)
        self.other += np.float32(C2)
        self.upper *= self.other
        np.add(a.squares, b.squares, out=self.lower)
        np.add(a.variances, b.variances, out=self.other)
        self.lower *= self.other
        self.upper /= self.lower
        return float(self.upper.mean(dtype=np.float64))
