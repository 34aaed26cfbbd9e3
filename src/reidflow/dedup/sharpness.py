"""How sharp stored images are."""

import numpy as np
from scipy.ndimage import binary_erosion, laplace

from reidflow.dedup.ssim import resized

SIDE = 128
FEWEST = 64  # pixels of an animal that say something about its sharpness


def sharpness(images: np.ndarray, rows: np.ndarray, masks: np.ndarray | None = None, side: int = SIDE) -> np.ndarray:
    """Return the variance of the Laplacian of the given rows of an image store, (R,) float64 in squared grey values.

    images: (N, S, S, 3) uint8; rows: (R,) int; masks: (N, S, S) uint8 of the same store, animal where >= 128, or None.
    Images are made grey and `side` pixels wide, at most S, so that a large picture does not pass for a sharp one. With
    masks, only the animal counts, without the pixels at its outline; where it has fewer than 64 pixels, all counts.
    Source: Pech-Pacheco et al. 2000, doi:10.1109/ICPR.2000.903548.
    """
    side = min(side, images.shape[1])
    values = np.empty(len(rows))
    for place, row in enumerate(rows):
        edges = laplace(resized(images[row], side, True)[0].astype(np.float64))
        values[place] = edges.var() if masks is None else _inside(edges, masks[row])
    return values


def _inside(edges: np.ndarray, mask: np.ndarray) -> float:
    small = resized(np.repeat(mask[..., None], 3, axis=2), len(edges), True)[0]
    animal = binary_erosion(small >= 128, border_value=1)
    return float(edges[animal].var() if animal.sum() >= FEWEST else edges.var())
