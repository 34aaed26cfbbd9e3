"""The unchanged image."""

import numpy as np

from reidflow.backgrounds.photo import Photo


def apply(photo: Photo) -> np.ndarray:
    """Return the pixels (S, S, 3) uint8, unchanged."""
    return photo.pixels
