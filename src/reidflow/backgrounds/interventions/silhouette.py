"""Probe: the outline of the animal alone."""

import numpy as np

from reidflow.backgrounds.interventions._paint import rgb
from reidflow.backgrounds.photo import Photo


def apply(photo: Photo, *, animal: str = "#ffffff", background: str = "#000000") -> np.ndarray:
    """Return the mask painted in two colours, uint8 (S, S, 3).

    The padding gets the colour of the background: it depends on how the image was framed, not on the animal.
    """
    colours = np.array([rgb(background), rgb(animal)], np.uint8)
    return colours[photo.mask.astype(np.intp)]
