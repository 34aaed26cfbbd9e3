"""Framed images with their masks, as interventions receive them, and the donors of unrelated backgrounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.ndimage import label, maximum_filter, minimum_filter

from reidflow.spec.errors import ReidflowError

EDGE = 0.0125
"""Width of the mask's edge as a share of the side: closer to the animal, a pixel may show part of its coat."""
GAP = 0.04
"""Gaps in the mask up to twice this share of the side count as defects of the mask, with animal in them."""
LEAST_SURROUNDINGS = 0.1
"""Share of its frame that a donor's surroundings must cover to synthesise habitat from."""


@dataclass(frozen=True)
class Photo:
    """A framed image.

    pixels: (S, S, 3) uint8. mask: (S, S) bool, True on the animal. inside: (S, S) bool, False on the frame's
    padding. random: a generator that belongs to this image and the intervention's seed. donor: picks,
    with a generator, an image of another identity.
    """

    pixels: np.ndarray
    mask: np.ndarray
    inside: np.ndarray
    random: np.random.Generator
    donor: Callable[[np.random.Generator], "Photo"]

    def background(self) -> np.ndarray:
        """Return the background, bool (S, S): no animal, no padding."""
        return self.inside & ~self.mask

    def surroundings(self) -> np.ndarray:
        """Return the part of the background that is safely free of coat, bool (S, S).

        Left out are the mask's edge, where pixels mix animal and background, and the mask's holes and narrow gaps,
        since a poor mask has animal there. A replaced background covers all of `background`, so that no coat outside
        the mask survives; what it is made of comes only from here.
        """
        side = len(self.mask)
        edge, gap = max(1, round(EDGE * side)), round(GAP * side)
        margin = 2 * (edge + gap)
        closed = maximum_filter(np.pad(self.mask, margin), 2 * (edge + gap) + 1)
        closed = minimum_filter(closed, 2 * gap + 1)
        outside, _ = label(~closed)
        return self.inside & (outside == outside[0, 0])[margin:-margin, margin:-margin]

    def composite(self, background: np.ndarray | tuple[int, int, int]) -> np.ndarray:
        """Return the animal, its pixels unchanged, on another background, uint8 (S, S, 3); padding stays.

        background: (S, S, 3) uint8, or one colour.
        """
        return np.where(self.background()[..., None], np.asarray(background, np.uint8), self.pixels)


def donor_pools(manifest: pl.DataFrame, split: pl.DataFrame) -> list[str | None]:
    """Return the donor pool of each image: its role, null without one; a gallery side has pools of its own."""
    role = dict(split.select("image", "role").iter_rows())
    rows = [(role.get(image), side) for image, side in manifest.select("image", "side").iter_rows()]
    return [f"{own}, gallery side" if own and side == "gallery" else own for own, side in rows]


class Donors:
    """The images that may give their background to each image: those with a mask, of another identity.

    An unlabelled image may get any other image, labelled or not, which might show the same animal; a labelled one gets
    only labelled ones. Images of another `group` (burst, sighting, camera) come first, since two
    animals of one sighting share their background. pools: a donor is of the same pool as the image; an image whose
    pool is null may get any.
    """

    def __init__(self, manifest: pl.DataFrame, pools: Sequence[str | None] | None = None) -> None:
        self.names = manifest["image"].to_list()
        self.identity, self.group = _codes(manifest["identity"]), _codes(manifest["group"])
        self.pools = list(pools or [None] * manifest.height)
        self.pool = _codes(pl.Series(self.pools, dtype=pl.String))
        masked = np.flatnonzero((manifest["mask"] != "none").to_numpy())
        self.masked = np.array(sorted(masked, key=lambda row: self.names[row]), np.intp)

    def pick(self, row: int, random: np.random.Generator, load: Callable[[int], Photo]) -> Photo:
        """Return the image, loaded by `load` from its row, that gives its background to the image `row`.

        Every candidate is equally likely, so adding images to a data set may change the donor.
        Raises ReidflowError if there is none with enough background.
        """
        for rows in self._candidates(row):
            for candidate in random.permutation(rows):
                photo = load(int(candidate))
                if photo.surroundings().mean() >= LEAST_SURROUNDINGS:
                    return photo
        among = f" among the images of '{self.pools[row]}'" if self.pools[row] else ""
        raise ReidflowError(
            f"{self.names[row]}: no image{among} can give it an unrelated background: it takes one of another "
            "identity, with a mask, on which the animal does not fill the frame. Add such images, or remove the "
            "backgrounds 'random' and 'unrelated_background'."
        )

    def _candidates(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of other groups, and those of the same group, in the order of their names."""
        rows = self.masked[self.masked != row]
        if self.pool[row] >= 0:
            rows = rows[self.pool[rows] == self.pool[row]]
        if self.identity[row] >= 0:
            identity = self.identity[rows]
            rows = rows[(identity >= 0) & (identity != self.identity[row])]
        same = (self.group[rows] == self.group[row]) & (self.group[row] >= 0)
        return rows[~same], rows[same]


def _codes(names: pl.Series) -> np.ndarray:
    """Return a number per name, -1 for null."""
    return names.rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
