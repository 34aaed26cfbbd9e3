"""The animal on noise: a background from which nothing can be learned."""

import numpy as np

from reidflow.backgrounds.photo import Photo


def apply(photo: Photo, *, seed: int = 0) -> np.ndarray:
    """Return the animal on uniform noise, independent per pixel and channel, uint8 (S, S, 3).

    seed: with the image's name it seeds `photo.random`, hence the noise; other images do not matter.
    """
    return photo.composite(photo.random.integers(0, 256, photo.pixels.shape, np.uint8))
