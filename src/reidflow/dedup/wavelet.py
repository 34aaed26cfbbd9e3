"""The Haar wavelet in the very steps of PyWavelets, so that its rounding is repeated to the last bit."""

import numpy as np

ROOT = np.float64(0.7071067811865476)  # PyWavelets' own constant of the Haar filters


def without_mean(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return the Haar averages of images whose mean was removed, as imagehash.whash computes them.

    pixels: (n, s, s) uint8, s a power of two. Returns (n, side, side) float64.
    """
    values = pixels / 255.0
    details = []
    while values.shape[1] > 1:
        values, *detail = _analysed(values)
        details.append(detail)
    values = values * 0
    for detail in reversed(details):
        values = _synthesised(values, *detail)
    while values.shape[1] > side:
        values = _low(_low(values, 1), 2)
    return values


def _low(values: np.ndarray, axis: int) -> np.ndarray:
    first, second = _halves(values, axis)
    return ROOT * second + ROOT * first


def _high(values: np.ndarray, axis: int) -> np.ndarray:
    first, second = _halves(values, axis)
    return -ROOT * second + ROOT * first


def _halves(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    return (values[:, ::2], values[:, 1::2]) if axis == 1 else (values[:, :, ::2], values[:, :, 1::2])


def _analysed(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return averages and the details (n, s/2, s/2): down alone, across alone, both."""
    low, high = _low(values, 1), _high(values, 1)
    return _low(low, 2), _low(high, 2), _high(low, 2), _high(high, 2)


def _synthesised(average: np.ndarray, down: np.ndarray, across: np.ndarray, both: np.ndarray) -> np.ndarray:
    low, high = _joined(average, across, 2), _joined(down, both, 2)
    return _joined(low, high, 1)


def _joined(low: np.ndarray, high: np.ndarray, axis: int) -> np.ndarray:
    shape = list(low.shape)
    shape[axis] *= 2
    joined = np.empty(shape)
    first, second = _halves(joined, axis)
    first[:] = ROOT * low + ROOT * high
    second[:] = ROOT * low + -ROOT * high
    return joined
