"""The animal on the habitat of another identity's image."""

import numpy as np

from reidflow.backgrounds.interventions._habitat import habitat
from reidflow.backgrounds.photo import Photo


def apply(photo: Photo, *, seed: int = 0) -> np.ndarray:
    """Return the animal on the background of an image of another identity, uint8 (S, S, 3).

    The donor's animal is removed and its area filled from the donor's own background (`_habitat`). seed: with the
    image's name it seeds `photo.random`, which picks the donor and the filling. Raises ReidflowError without a donor.
    """
    return photo.composite(habitat(photo.donor(photo.random), photo.random))
