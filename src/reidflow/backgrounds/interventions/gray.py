"""The animal on one colour; also the probe of the foreground alone."""

import numpy as np

from reidflow.backgrounds.interventions._paint import rgb
from reidflow.backgrounds.photo import Photo


def apply(photo: Photo, *, colour: str = "#7c7468") -> np.ndarray:
    """Return the animal on `colour`, uint8 (S, S, 3).

    The default is the colour that frames are padded with (the mean of ImageNet), so that background and
    padding look the same: a model recognises this image by the animal.
    """
    return photo.composite(rgb(colour))
