"""The animal before one colour; it is also the probe of the foreground alone."""

import numpy as np

from reidflow.backgrounds.interventions._colour import rgb
from reidflow.backgrounds.photo import Photo


def apply(photo: Photo, *, colour: str = "#7c7468") -> np.ndarray:
    """Return the animal before `colour`, uint8 (S, S, 3).

    The default is the colour that frames are padded with (the mean of ImageNet), so that nothing is left to tell the
    background from the padding: what a model recognises in this picture, it recognises by the animal.
    """
    return photo.before(rgb(colour))
