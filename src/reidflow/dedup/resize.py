"""Grey images at several small sizes, bit for bit as Pillow resizes them, by matrix products over many images.

Pillow filters along rows, rounds to whole grey values, then filters along columns, with weights in steps of 2^-22. All
of these are whole numbers below 2^53, so products in float64 are exact whatever the order of their sums.
"""

from functools import lru_cache

import numpy as np
from PIL import Image

STEPS = 2**22
WIDEST = 64  # Pillow's own loop is faster where the target is wider


class Resizer:
    """Grey images of one size, and every smaller size asked for so far."""

    def __init__(self, images: list[np.ndarray]) -> None:
        """Take (H, W, 3) uint8 images and make them grey."""
        self.grey = [Image.fromarray(image).convert("L") for image in images]
        self._values: np.ndarray | None = None
        self._known: dict[tuple[int, int], np.ndarray] = {}

    @property
    def shortest(self) -> int:
        """Return the shorter side in pixels."""
        return min(self.grey[0].size)

    def at(self, width: int, height: int) -> np.ndarray:
        """Return the images resized by the Lanczos filter, (n, height, width) uint8."""
        if (width, height) not in self._known:
            by_products = max(width, height) <= WIDEST and self.grey[0].size != (width, height)
            self._known[width, height] = (self._products if by_products else self._pillow)(width, height)
        return self._known[width, height]

    def _pillow(self, width: int, height: int) -> np.ndarray:
        resized = [image.resize((width, height), Image.Resampling.LANCZOS) for image in self.grey]
        return np.stack([np.asarray(image) for image in resized])

    def _products(self, width: int, height: int) -> np.ndarray:
        if self._values is None:
            self._values = np.stack([np.asarray(image) for image in self.grey]).astype(np.float64)
        count, rows, columns = self._values.shape
        narrow = _rounded(self._values.reshape(count * rows, columns) @ _weights(columns, width))
        return _rounded(_weights(rows, height).T @ narrow.reshape(count, rows, width)).astype(np.uint8)


@lru_cache(64)
def _weights(source: int, target: int) -> np.ndarray:
    """Return Pillow's weights of `source` pixels in `target` pixels, (source, target), in steps of 2^-22.

    Read from Pillow itself: the resized rows of a diagonal of 32-bit whole numbers are its rounded weights.
    """
    if source == target:
        return np.eye(source) * STEPS
    diagonal = Image.fromarray(np.diag(np.full(source, STEPS, np.int32)))
    return np.asarray(diagonal.resize((target, source), Image.Resampling.LANCZOS)).astype(np.float64)


def _rounded(sums: np.ndarray) -> np.ndarray:
    sums += STEPS // 2
    sums *= 1 / STEPS
    return np.clip(np.floor(sums, out=sums), 0, 255, out=sums)
