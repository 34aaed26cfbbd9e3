"""The animal before the habitat of another identity's photograph."""

import numpy as np

from reidflow.backgrounds.interventions._habitat import habitat
from reidflow.backgrounds.photo import Photo


def apply(photo: Photo, *, seed: int = 0) -> np.ndarray:
    """Return the animal before the background of a photograph of another identity, uint8 (S, S, 3).

    The donor's animal is taken out and its place filled from the donor's own background (`_habitat`). seed: with the
    image's name it decides `photo.random`, which draws the donor and the filling. Raises ReidflowError without a donor.
    """
    return photo.before(habitat(photo.donor(photo.random), photo.random))
