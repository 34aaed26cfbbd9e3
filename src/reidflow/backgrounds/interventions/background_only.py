"""Probe: the background without the animal and its outline."""

import numpy as np

from reidflow.backgrounds.interventions._paint import rgb, without_box
from reidflow.backgrounds.photo import Photo


def apply(photo: Photo, *, dilation: float = 0.1, colour: str = "#7c7468") -> np.ndarray:
    """Return the image with the animal's bounding box painted over in `colour`, uint8 (S, S, 3).

    dilation: the box is (1 + dilation) times as wide and as high as the animal, against ragged masks and
    parts that cross their edge. A model recognises this image by the background, or by the box; the control is
    `unrelated_background`.
    """
    return without_box(photo.pixels, photo.mask, dilation, rgb(colour))
