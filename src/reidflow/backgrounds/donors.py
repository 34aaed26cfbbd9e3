"""Which other photograph may give its background to an image."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from reidflow.backgrounds.photo import Photo
from reidflow.spec.errors import ReidflowError

LEAST = 0.1
"""Share of its frame that a donor's surroundings must cover: habitat cannot be made from less."""


def pools_of(manifest: pl.DataFrame, split: pl.DataFrame) -> list[str | None]:
    """Return a pool for each image: its role, null without one; a gallery side has other backgrounds and its own pools."""
    role = dict(split.select("image", "role").iter_rows())
    rows = [(role.get(image), side) for image, side in manifest.select("image", "side").iter_rows()]
    return [f"{own}, gallery side" if own and side == "gallery" else own for own, side in rows]


class Donors:
    """The photographs that may stand in for the background of each image: those with a mask, of another identity.

    An image without a label may get any other image, labelled or not, which may show the same animal unknowingly; a
    labelled one gets labelled ones alone. Images of another `group` (burst, sighting, camera) come first, since two
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

    def draw(self, row: int, random: np.random.Generator, develop: Callable[[int], Photo]) -> Photo:
        """Return the photograph, made by `develop` from its row, that gives its background to the image `row`.

        The draw is even over the images that may give theirs, so adding images to a data set may change it.
        Raises ReidflowError if there is none with enough background.
        """
        for rows in self._candidates(row):
            for candidate in random.permutation(rows):
                photo = develop(int(candidate))
                if photo.surroundings().mean() >= LEAST:
                    return photo
        among = f" among the photographs of '{self.pools[row]}'" if self.pools[row] else ""
        raise ReidflowError(
            f"{self.names[row]}: no photograph{among} can give it an unrelated background. It takes one of another "
            "identity, with a mask, on which the animal does not fill the frame. Add such photographs, or leave out "
            "the backgrounds 'random' and 'unrelated_background'."
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
