"""Control of the probe `background_only`: the same box and the same padding, on an unrelated background."""

import numpy as np

from reidflow.backgrounds.interventions._habitat import habitat
from reidflow.backgrounds.interventions._paint import rgb, without_box
from reidflow.backgrounds.photo import Photo


def apply(photo: Photo, *, dilation: float = 0.1, colour: str = "#7c7468", seed: int = 0) -> np.ndarray:
    """Return the habitat of another identity's image under this one's box and padding, uint8 (S, S, 3).

    dilation, colour: as in `background_only`. seed: as in `random`. Only the position of its box and padding is left of
    this image, and the donor's animal is removed. A model that scores above chance on such images recognises the box:
    the probe leaks. (As no image gets a background of its own identity, a model that knows backgrounds scores about
    K / (K - 1) times chance among K identities; with few of them that is no leak.)
    """
    unrelated = habitat(photo.donor(photo.random), photo.random)
    framed = np.where(photo.inside[..., None], unrelated, photo.pixels)
    return without_box(framed, photo.mask, dilation, rgb(colour))
