"""What an intervention is given: a framed photograph with its mask."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label, maximum_filter, minimum_filter

EDGE = 0.0125
"""Width of the mask's edge as a share of the side: so near to the animal, a pixel may hold a part of its coat."""
GAP = 0.04
"""Gaps in the mask up to twice this share of the side are taken for flaws of the mask, with animal in them."""


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
        """Return the part of `behind` that is safely free of coat, bool (S, S).

        Left out are the mask's edge, where pixels mix animal and background, and the mask's holes and narrow gaps,
        since a poor mask has animal there. A replaced background covers all of `behind`, so that no coat outside the
        mask survives; what it is made of comes from here alone.
        """
        side = len(self.mask)
        edge, gap = max(1, round(EDGE * side)), round(GAP * side)
        margin = 2 * (edge + gap)
        closed = maximum_filter(np.pad(self.mask, margin), 2 * (edge + gap) + 1)
        closed = minimum_filter(closed, 2 * gap + 1)
        outside, _ = label(~closed)
        return self.inside & (outside == outside[0, 0])[margin:-margin, margin:-margin]

    def before(self, background: np.ndarray | tuple[int, int, int]) -> np.ndarray:
        """Return the animal, its pixels unchanged, before another background, uint8 (S, S, 3); padding stays.

        background: (S, S, 3) uint8, or one colour.
        """
        return np.where(self.behind()[..., None], np.asarray(background, np.uint8), self.pixels)
