"""Scores of the picture itself, measured on the animal; on the whole photograph where there is no mask."""

import numpy as np

MIDDLE, SPREAD = 0.5, 0.2


def luminance(pixels: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Return the luminance (P,) float64 in [0, 1] (ITU-R BT.601) of pixels (S, S, 3) uint8 where `area` is True."""
    red, green, blue = pixels[area].astype(np.float64).T
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def exposure(light: np.ndarray) -> float:
    """Return how well exposed an area is, in (0, 1]: the mean of exp(-(l - 0.5)^2 / (2 x 0.2^2)) over its luminances.

    Pixels near black or white carry little of the coat. Source: the well-exposedness of Mertens, Kautz & Van Reeth,
    Exposure Fusion (2007).
    """
    return float(np.exp(-np.square(light - MIDDLE) / (2 * SPREAD**2)).mean())


def contrast(light: np.ndarray) -> float:
    """Return the root mean square contrast, in [0, 0.5]: the standard deviation of the luminances (Peli 1990)."""
    return float(light.std())


def truncation(mask: np.ndarray, inside: np.ndarray) -> float:
    """Return the share of the mask's outline that lies on the edge of the photograph, in [0, 1].

    mask: (S, S) bool, True on the animal. inside: (S, S) bool, False where the frame reaches beyond the photograph.
    Outline: the pixels of the mask with a neighbour (of four) off it. A frame that was cut closer than the photograph
    counts as its edge, since the training sees no more.
    """
    outline = mask & ~_surrounded(mask)
    edge = inside & ~_surrounded(inside)
    return float((outline & edge).sum() / max(1, outline.sum()))


def _surrounded(area: np.ndarray) -> np.ndarray:
    """Return where a pixel (S, S) and its four neighbours all lie in the area; beyond the frame nothing does."""
    wide = np.pad(area, 1)
    return area & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
