"""The animal before black, as masks are often applied."""

import numpy as np

from reidflow.backgrounds.photo import Photo


def apply(photo: Photo) -> np.ndarray:
    """Return the animal before black, uint8 (S, S, 3); padding stays grey, as in every intervention."""
    return photo.before((0, 0, 0))
