"""The habitat of an image without its animal: the animal's area and the padding are filled with more habitat."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

from reidflow.backgrounds.interventions._smooth import gaussian, linear, smooth
from reidflow.backgrounds.photo import Photo

_STEP = 4
"""Smooth maps are computed on a grid of every so many pixels."""
_FINEST, _SCALES, _FADING = 0.01, 6, 6.0
"""Interpolation into the hole: Gaussians from this share of the side, each twice as wide, and its factor of weight."""
_COARSE = 2
"""Contrast is interpolated without the finest scales: beside an edge (horizon, trunk) it is that of both its sides."""
_LIVELIEST = 1.25
"""Contrast is at most so many times the median of the surroundings: more are edges, not texture."""
_LAYERED = 3.0
"""Habitats are layered (sky, trees, ground): they are similar so many times as far sideways as up and down."""
_TEXTURE = 0.03
"""What is finer than a Gaussian of this share of the side is texture."""
_FROM_ROOTS = 1.48
"""Gaussian deviations have this times their squared mean root as standard deviation; single edges hardly raise it."""
_EXTREME = 3.0
"""Texture is clipped to so many local deviations, or a single bright leaf would dominate the whole fill."""


def habitat(photo: Photo, random: np.random.Generator) -> np.ndarray:
    """Return a view of `photo` without its animal and without padding, uint8 (S, S, 3).

    The surroundings keep their pixels. The rest gets the colour interpolated from them, plus noise with the spectrum,
    and locally the contrast, of the surroundings' own texture (Galerne, Gousseau and Morel, Random phase textures,
    IEEE Transactions on Image Processing 2011). Nothing is copied, so no patch can repeat, and no pixel of the animal
    or of the mask's edge is used.
    """
    known = photo.surroundings()
    pixels = photo.pixels.transpose(2, 0, 1).astype(np.float32, order="C")
    weight = known.astype(np.float32)
    grids = _grids(len(known))
    seen = grids.reduce(pixels, weight)
    colour = grids.interpolate(seen)
    deviation = (pixels - grids.average(seen)) * weight
    contrast = grids.interpolate(grids.reduce(np.sqrt(np.abs(deviation)), weight), _COARSE) ** 2 * _FROM_ROOTS
    contrast = np.minimum(contrast, _LIVELIEST * np.median(contrast[:, known], axis=1)[:, None, None])
    filled = colour + contrast * _texture(deviation, contrast, weight, random)
    filled = np.clip(np.rint(filled), 0, 255).astype(np.uint8)
    return np.where(known[..., None], photo.pixels, filled.transpose(1, 2, 0))


def _texture(
    deviation: np.ndarray, contrast: np.ndarray, weight: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Return noise (S, S) of unit variance with the spectrum of the brightness of `deviation` (3, S, S)."""
    pattern = np.clip(deviation.mean(axis=0) / np.maximum(contrast.mean(axis=0), 1.0), -_EXTREME, _EXTREME)
    pattern -= weight * (pattern.sum() / weight.sum())
    white = fft.rfft2(random.standard_normal(weight.shape, np.float32))
    noise = fft.irfft2(white * fft.rfft2(pattern), s=weight.shape)
    return noise / max(noise.std(), 1e-6)


@dataclass(frozen=True)
class _Grids:
    """Matrices for pictures of one side: from pixels to a coarse grid, on it to growing widths, and back to pixels."""

    onto: np.ndarray
    scales: list[tuple[float, np.ndarray, np.ndarray]]
    texture: np.ndarray
    back: np.ndarray

    def reduce(self, planes: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return weighted sums of planes (C, S, S), and of the weight, around the points of the grid, (C + 1, n, n)."""
        return smooth(self.onto, self.onto, np.concatenate([planes * weight, weight[None]]))

    def average(self, sums: np.ndarray) -> np.ndarray:
        """Return the local weighted mean (C, S, S), at each pixel, of what was reduced to `sums`."""
        return smooth(self.back, self.back, _ratio(smooth(self.texture, self.texture, sums)))

    def interpolate(self, sums: np.ndarray, skipped: int = 0) -> np.ndarray:
        """Return what was reduced to `sums`, carried smoothly from where it has weight to everywhere, (C, S, S).

        skipped: how many of the finest scales are left out.
        """
        widened = sum(share * smooth(down, across, sums) for share, down, across in self.scales[skipped:])
        return smooth(self.back, self.back, _ratio(widened))


def _ratio(sums: np.ndarray) -> np.ndarray:
    return sums[:-1] / np.maximum(sums[-1], 1e-30)


@lru_cache(4)
def _grids(side: int) -> _Grids:
    count = max(2, -(-side // _STEP))
    at = np.linspace(0, side - 1, count)
    points, step = np.arange(count), (side - 1) / (count - 1)
    scales = []
    for i in range(_SCALES):
        sigma = _FINEST * side * 2**i / step
        share = np.float32(_FADING**-i / sigma**2)
        scales.append((share, _kernel(points, count, sigma), _kernel(points, count, _LAYERED * sigma)))
    texture = _kernel(points, count, _TEXTURE * side / step)
    return _Grids(_kernel(at, side, step / 2), scales, texture, linear(side, at).astype(np.float32))


def _kernel(at: np.ndarray, side: int, sigma: float) -> np.ndarray:
    return gaussian(at, side, sigma).astype(np.float32)
