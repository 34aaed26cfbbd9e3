"""Two pictures laid over each other: the scale and shift between a photograph and a crop of it.

A frame scales and centres a photograph by its size or by its animal's outline, so a crop of the photograph lands
elsewhere in its frame. Compared pixel by pixel the two differ much; laid over each other, hardly.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

LEVELS = ((32, 8, 0.5), (64, 5, 0.8))  # side in pixels, steps of Gauss and Newton, and the least correlation
LARGEST = 1.5  # a crop that takes away more is not looked for
STILL = 1e-4  # a step that moves no corner by more than this share of the side ends a level


@dataclass(frozen=True)
class Overlay:
    """Where the second picture's points lie: x -> scale * x + shift, coordinates -0.5 to 0.5 from the centre.

    Attributes:
        scale: of both axes.
        across: shift along the rows.
        down: shift along the columns.
    """

    scale: float = 1.0
    across: float = 0.0
    down: float = 0.0


def overlay(first: list[np.ndarray], second: list[np.ndarray], boxes: tuple[np.ndarray, np.ndarray]) -> Overlay:
    """Return the overlay under which the second picture is most like the first, brightness and contrast aside.

    first, second: the grey pictures at each side of LEVELS, (S, S) float32; boxes: (4,) left, top, right, bottom of
    either photograph within its frame, -0.5 to 0.5. Gauss-Newton on squared differences, from coarse to fine (Lucas
    and Kanade 1981); starts from no shift at all, and returns that for pictures that correlate less than LEVELS ask.
    """
    found = Overlay()
    for (_, steps, least), one, two in zip(LEVELS, first, second, strict=True):
        for _ in range(steps):
            step = _step(one, two, found, boxes, least)
            if step is None:
                return Overlay()
            found = Overlay(found.scale + step[0], found.across + step[1], found.down + step[2])
            if abs(step[:3]).max() < STILL:
                break
    return found


def laid_over(picture: np.ndarray, how: Overlay) -> np.ndarray:
    """Return the (S, S) float32 picture seen through the overlay, 0 outside."""
    side = len(picture)
    offsets = [side * (0.5 - 0.5 * how.scale + shift) for shift in (how.across, how.down)]
    coefficients = (how.scale, 0.0, offsets[0], 0.0, how.scale, offsets[1])
    image = Image.fromarray(picture)
    return np.asarray(image.transform((side, side), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC))


def shared(side: int, how: Overlay, boxes: tuple[np.ndarray, np.ndarray], margin: int) -> tuple[slice, slice]:
    """Return the rows and columns of the first picture, of `side` pixels, that show both photographs, less a margin."""
    shift = np.array([how.across, how.down] * 2)
    box = np.concatenate([f(boxes[0][h], ((boxes[1] - shift) / how.scale)[h]) for f, h in _HALVES])
    low = np.ceil((box[:2] + 0.5) * side).astype(int) + margin
    high = np.floor((box[2:] + 0.5) * side).astype(int) - margin
    low, high = np.maximum(low, 0), np.minimum(high, side)
    return slice(low[1], max(low[1], high[1])), slice(low[0], max(low[0], high[0]))


_HALVES = ((np.maximum, slice(0, 2)), (np.minimum, slice(2, 4)))


def _step(
    first: np.ndarray, second: np.ndarray, how: Overlay, boxes: tuple[np.ndarray, np.ndarray], least: float
) -> np.ndarray | None:
    """Return the change of scale, across and down, or None where the pictures do not overlap or resemble each other."""
    if not 1 / LARGEST < how.scale < LARGEST:
        return None
    side = len(first)
    rows, columns = shared(side, how, boxes, 2)
    if rows.stop - rows.start < side // 6 or columns.stop - columns.start < side // 6:
        return None
    seen = laid_over(second, how)
    x, y = (np.arange(side) + 0.5)[columns] / side - 0.5, (np.arange(side) + 0.5)[rows, None] / side - 0.5
    down, across = (slope[rows, columns] * (side / how.scale) for slope in np.gradient(seen.astype(np.float64)))
    seen, target = seen[rows, columns].astype(np.float64), first[rows, columns].astype(np.float64)
    gain, offset, correlation = _fit(seen, target)
    if correlation < least:
        return None
    basis = np.stack([gain * (across * x + down * y), gain * across, gain * down, seen, np.ones_like(seen)])
    basis, rest = basis.reshape(5, -1), (target - gain * seen - offset).ravel()
    normal = np.stack([(basis * line).sum(axis=1) for line in basis])
    return np.linalg.solve(normal + 1e-6 * np.eye(5), (basis * rest).sum(axis=1))[:3]


def _fit(seen: np.ndarray, target: np.ndarray) -> tuple[float, float, float]:
    """Return the gain and offset that make `seen` most like `target`, and their correlation.

    Here, as above, sums go without BLAS, which would split them by the number of threads.
    """
    one, two = seen - seen.mean(), target - target.mean()
    covariance, spread = (one * two).sum(), max((one * one).sum(), 1e-6)
    correlation = covariance / np.sqrt(spread * max((two * two).sum(), 1e-6))
    gain = covariance / spread
    return float(gain), float(target.mean() - gain * seen.mean()), float(correlation)
