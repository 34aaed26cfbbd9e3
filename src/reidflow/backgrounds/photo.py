"""What an intervention is given: a framed photograph with its mask."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Photo:
    """A framed photograph.

    pixels: (S, S, 3) uint8. mask: (S, S) bool, True on the animal. inside: (S, S) bool, False where the frame reaches
    beyond the photograph. random: a generator that belongs to this image and the intervention's seed. donor: draws,
    with a generator, the photograph of another identity.
    """

    pixels: np.ndarray
    mask: np.ndarray
    inside: np.ndarray
    random: np.random.Generator
    donor: Callable[[np.random.Generator], "Photo"]
