"""The animal on black, as masks are often applied."""

import numpy as np

from reidflow.backgrounds.photo import Photo


def apply(photo: Photo) -> np.ndarray:
    """Return the animal on black, uint8 (S, S, 3); padding stays grey, as in every intervention."""
    return photo.composite((0, 0, 0))
