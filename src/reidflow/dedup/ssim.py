"""Structural similarity by scikit-image; of aligned images, with a Gauss-Newton registration of our own.

skimage.registration.phase_cross_correlation measures shifts, and scale only through log-polar spectra, to about 1 %. On
the demo that misses one of 51 copies, doubles the false pairs at a threshold of 0.3, and takes several times as long.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity

from reidflow.dedup.images import grey
from reidflow.ingest.framing import inside

SIDE = 128
WINDOW = 7  # pixels, scikit-image's default; a side must be at least as long
STEP = 2.0**-20  # similarities are rounded to it, so that the last bits of a mean decide nothing
CACHED = 2048  # images that stay in memory
TASK = 256  # pairs that a thread takes at once

LEVELS = ((32, 8, 0.5), (64, 5, 0.8))  # side in pixels, Gauss-Newton steps, and the least correlation
LARGEST_SCALE = 1.5  # beyond it no overlap is searched for
CONVERGED = 1e-4  # a step that moves no corner by more than this share of the side ends a level
LEAST_SHARED = 0.5  # share of the smaller image that both images must show


def pair_ssim(
    images: np.ndarray, rows: np.ndarray, pairs: np.ndarray, side: int = SIDE, workers: int = 1
) -> np.ndarray:
    """Return the mean SSIM of pairs of images, (P,) float64 in steps of 2^-20, 1 for equal images.

    images: image store (N, H, W, 3) uint8, maybe memory-mapped; rows: (R,) int; pairs: (P, 2) int into `rows`. Grey
    images at `side` pixels (Pillow, area average). workers: threads; they change only the time.
    Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861.
    Library: skimage.metrics.structural_similarity: uniform window of 7 pixels, sample covariance, borders left out.
    """

    @lru_cache(CACHED)
    def reduced(index: int) -> np.ndarray:
        return grey(images[rows[index]], side)

    return _over_pairs(lambda i, j: _ssim(reduced(i), reduced(j)), pairs, workers)


def aligned_ssim(
    images: np.ndarray, rows: np.ndarray, pairs: np.ndarray, side: int = SIDE, workers: int = 1
) -> np.ndarray:
    """Return the mean SSIM of pairs of images, in place or aligned: the greater, (P,) float64.

    A frame scales and centres a image by its size or by its animal's outline, so a crop of the image lies
    elsewhere in its frame. Compared in place the two differ much; aligned, hardly.

    images: image store (N, S, S, 3) uint8; rows: (R,) int; pairs: (P, 2) int into `rows`. Grey images at `side` pixels;
    only what both images show counts, not the frame's padding; nothing shared is 0. SSIM as
    in `pair_ssim`, in steps of 2^-20: copies are 1. workers: threads; they change only the time.
    """

    @lru_cache(CACHED)
    def framed(index: int) -> Framed:
        image = images[rows[index]]
        levels = [grey(image, width).astype(np.float32) for width, *_ in LEVELS]
        return Framed(levels, grey(image, side).astype(np.float32), _content_box(image))

    return _over_pairs(lambda i, j: _best_similarity(framed(i), framed(j)), pairs, workers)


def _over_pairs(similarity: Callable[[int, int], float], pairs: np.ndarray, workers: int) -> np.ndarray:
    def task(start: int) -> list[float]:
        return [similarity(i, j) for i, j in pairs[start : start + TASK].tolist()]

    with ThreadPoolExecutor(workers) as pool:
        values = [value for part in pool.map(task, range(0, len(pairs), TASK)) for value in part]
    return np.rint(np.asarray(values, np.float64) / STEP) * STEP


def _ssim(first: np.ndarray, second: np.ndarray) -> float:
    return float(structural_similarity(first, second, win_size=WINDOW, data_range=255))


@dataclass(frozen=True)
class Framed:
    """A grey image in its frame, with or without padding.

    Attributes:
        levels: at the sides of LEVELS, (S, S) float32.
        image: at the side of the comparison.
        box: left, top, right, bottom of the image, -0.5 to 0.5 of the frame.
    """

    levels: list[np.ndarray]
    image: np.ndarray
    box: np.ndarray


@dataclass(frozen=True)
class Alignment:
    """Where the second image's points lie: x -> scale * x + shift, coordinates -0.5 to 0.5 from the centre."""

    scale: float = 1.0
    across: float = 0.0
    down: float = 0.0


def _content_box(image: np.ndarray) -> np.ndarray:
    """Return left, top, right and bottom of the image within its padding, -0.5 to 0.5 of the frame."""
    shown = inside(image)
    down, across = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    edges = np.array([across[0], down[0], across[-1] + 1, down[-1] + 1])
    return edges / len(image) - 0.5


def _best_similarity(first: Framed, second: Framed) -> float:
    in_place = _similarity(Alignment(), first, second)
    if in_place == 1:
        return in_place
    found = align(first.levels, second.levels, (first.box, second.box))
    return in_place if found == Alignment() else max(in_place, _similarity(found, first, second))


def _similarity(alignment: Alignment, first: Framed, second: Framed) -> float:
    """Return the mean SSIM of what both show under the alignment, 0 where that is too little."""
    side = len(first.image)
    rows, columns = _shared(side, alignment, (first.box, second.box), 1)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    smaller = min(_area(first.box), _area(second.box) / alignment.scale**2) * side**2
    if min(height, width) < WINDOW or (height + 2) * (width + 2) < LEAST_SHARED * smaller:
        return 0.0
    seen = second.image if alignment == Alignment() else warped(second.image, alignment)
    return _ssim(first.image[rows, columns].astype(np.float64), seen[rows, columns].astype(np.float64))


def _area(box: np.ndarray) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def align(first: list[np.ndarray], second: list[np.ndarray], boxes: tuple[np.ndarray, np.ndarray]) -> Alignment:
    """Return the alignment under which the second image is most like the first, brightness and contrast aside.

    first, second: the grey images at each side of LEVELS, (S, S) float32; boxes: (4,) left, top, right, bottom of
    either image within its frame, -0.5 to 0.5. Gauss-Newton on squared differences, from coarse to fine (Lucas and
    Kanade 1981), starting from no shift; images that correlate less than LEVELS demand are not aligned.
    """
    found = Alignment()
    for (_, steps, least), one, two in zip(LEVELS, first, second, strict=True):
        for _ in range(steps):
            step = _step(one, two, found, boxes, least)
            if step is None:
                return Alignment()
            found = Alignment(found.scale + step[0], found.across + step[1], found.down + step[2])
            if abs(step[:3]).max() < CONVERGED:
                break
    return found


def warped(image: np.ndarray, alignment: Alignment) -> np.ndarray:
    """Return the (S, S) float32 image as it is seen through the alignment, 0 outside."""
    side = len(image)
    offsets = [side * (0.5 - 0.5 * alignment.scale + shift) for shift in (alignment.across, alignment.down)]
    coefficients = (alignment.scale, 0.0, offsets[0], 0.0, alignment.scale, offsets[1])
    seen = Image.fromarray(image).transform(
        (side, side), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC
    )
    return np.asarray(seen)


def _shared(side: int, alignment: Alignment, boxes: tuple[np.ndarray, np.ndarray], margin: int) -> tuple[slice, slice]:
    """Return the rows and columns of the first image, of `side` pixels, that show both images, less a margin."""
    other = (boxes[1] - np.array([alignment.across, alignment.down] * 2)) / alignment.scale
    start, end = np.maximum(boxes[0][:2], other[:2]), np.minimum(boxes[0][2:], other[2:])
    low = np.maximum(np.ceil((start + 0.5) * side).astype(int) + margin, 0)
    high = np.minimum(np.floor((end + 0.5) * side).astype(int) - margin, side)
    return slice(low[1], max(low[1], high[1])), slice(low[0], max(low[0], high[0]))


def _step(
    first: np.ndarray, second: np.ndarray, found: Alignment, boxes: tuple[np.ndarray, np.ndarray], least: float
) -> np.ndarray | None:
    """Return the change of scale, across and down, or None where the images do not overlap or resemble each other.

    Sums go without BLAS, which would split them by the number of threads.
    """
    if not 1 / LARGEST_SCALE < found.scale < LARGEST_SCALE:
        return None
    side = len(first)
    rows, columns = _shared(side, found, boxes, 2)
    if rows.stop - rows.start < side // 6 or columns.stop - columns.start < side // 6:
        return None
    seen = warped(second, found)
    x, y = (np.arange(side) + 0.5)[columns] / side - 0.5, (np.arange(side) + 0.5)[rows, None] / side - 0.5
    down, across = (slope[rows, columns] * (side / found.scale) for slope in np.gradient(seen.astype(np.float64)))
    seen, target = seen[rows, columns].astype(np.float64), first[rows, columns].astype(np.float64)
    gain, offset, correlation = _fit(seen, target)
    if correlation < least:
        return None
    basis = np.stack([gain * (across * x + down * y), gain * across, gain * down, seen, np.ones_like(seen)])
    basis, rest = basis.reshape(5, -1), (target - gain * seen - offset).ravel()
    normal = np.stack([(basis * line).sum(axis=1) for line in basis])
    return np.linalg.solve(normal + 1e-6 * np.eye(5), (basis * rest).sum(axis=1))[:3]


def _fit(seen: np.ndarray, target: np.ndarray) -> tuple[float, float, float]:
    """Return the gain and offset that make `seen` most like `target`, and their correlation."""
    one, two = seen - seen.mean(), target - target.mean()
    covariance, spread = (one * two).sum(), max((one * one).sum(), 1e-6)
    correlation = covariance / np.sqrt(spread * max((two * two).sum(), 1e-6))
    gain = covariance / spread
    return float(gain), float(target.mean() - gain * seen.mean()), float(correlation)
