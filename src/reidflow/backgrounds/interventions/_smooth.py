"""Gaussian averages as products with small dense matrices: fast, exact, and independent of what is outside."""

import numpy as np

_LEAST = 1e-30
"""Smaller weights are 0 (12 standard deviations away): processors are slow with denormal numbers."""


def gaussian(at: np.ndarray, side: int, sigma: float) -> np.ndarray:
    """Return weights (len(at), side) of the pixels 0..side-1 for averages around `at`; sigma in pixels."""
    distance = at[:, None] - np.arange(side)
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.where(weights > _LEAST, weights, 0.0)


def linear(side: int, at: np.ndarray) -> np.ndarray:
    """Return weights (side, len(at)) that interpolate linearly between values at the ascending positions `at`."""
    return np.stack([np.interp(np.arange(side), at, unit) for unit in np.eye(len(at))], axis=1)


def smooth(down: np.ndarray, across: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Return down @ plane @ across.T for each of the planes (C, H, W)."""
    return down @ planes @ across.T
