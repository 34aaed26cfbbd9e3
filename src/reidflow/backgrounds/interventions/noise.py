"""The animal before noise: no background at all, and none that could be learned."""

import numpy as np

from reidflow.backgrounds.photo import Photo


def apply(photo: Photo, *, seed: int = 0) -> np.ndarray:
    """Return the animal before uniform noise, independent per pixel and channel, uint8 (S, S, 3).

    seed: with the image's name it decides `photo.random`, hence the noise; other images do not matter.
    """
    return photo.before(photo.random.integers(0, 256, photo.pixels.shape, np.uint8))
