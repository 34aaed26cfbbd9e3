"""What an intervention is given: a framed photograph with its mask."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter

EDGE = 0.0125
"""Width of the mask's edge as a share of the side: so near to the animal, a pixel may hold a part of its coat."""


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

    def behind(self) -> np.ndarray:
        """Return where the photograph shows what is behind the animal, bool (S, S): no animal, no padding."""
        return self.inside & ~self.mask

    def surroundings(self) -> np.ndarray:
        """Return the part of `behind` that is safely free of coat, bool (S, S): the mask's edge is left out as well.

        The mask is hard, but the pixels along it mix animal and background. A replaced background covers all of
        `behind`, so that no mixed pixel outside the mask survives; what it is made of comes from here alone.
        """
        width = max(1, round(EDGE * len(self.mask)))
        return self.inside & ~maximum_filter(self.mask, 2 * width + 1, mode="constant")

    def before(self, background: np.ndarray | tuple[int, int, int]) -> np.ndarray:
        """Return the animal, its pixels unchanged, before another background, uint8 (S, S, 3); padding stays.

        background: (S, S, 3) uint8, or one colour.
        """
        return np.where(self.behind()[..., None], np.asarray(background, np.uint8), self.pixels)
