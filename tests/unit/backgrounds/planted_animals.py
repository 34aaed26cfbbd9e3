"""Images in which every pixel names its origin: coats are red without blue, backgrounds blue with little red.

The green of a background tells the identity and the image, its red stays under 60; the coat's red is 230. Masks are
discs with a ragged edge, one pixel too small all around, so that coat shows outside them as well.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy.ndimage import binary_closing, binary_dilation, binary_fill_holes

from reidflow.backgrounds.variant import write_variant
from reidflow.ingest.framing import GREY
from reidflow.spec.components import resolve

SIDE, IDENTITIES, EACH = 48, 4, 3


@dataclass
class Planted:
    """manifest, images (N, S, S, 3), masks (N, S, S) 0 or 255, inside (N, S, S) bool."""

    manifest: pl.DataFrame
    images: np.ndarray
    masks: np.ndarray
    inside: np.ndarray

    def rows(self, chosen: list[int]) -> "Planted":
        """Return the same data set with these images alone, in this order."""
        return Planted(self.manifest[chosen], self.images[chosen], self.masks[chosen], self.inside[chosen])

    def with_columns(self, **columns: list) -> "Planted":
        """Return the same data set with other values in the manifest."""
        changed = self.manifest.with_columns(
            pl.Series(name, values, dtype=self.manifest.schema[name]) for name, values in columns.items()
        )
        return Planted(changed, self.images, self.masks, self.inside)

    @property
    def animal(self) -> np.ndarray:
        """The masks as bool."""
        return self.masks > 0

    @property
    def behind(self) -> np.ndarray:
        """Neither animal nor padding."""
        return self.inside & ~self.animal


def surroundings(mask: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return what is safely background, bool (S, S): a pixel away from the mask, its gaps and its holes closed."""
    whole = binary_closing(np.pad(mask, 5), np.ones((5, 5)))
    grown = binary_fill_holes(binary_dilation(whole, np.ones((3, 3))))
    return inside & ~grown[5:-5, 5:-5]


def green_of(row: int) -> int:
    """Return the mean green of the background of image `row`."""
    return 12 + 20 * row


def row_of(picture: np.ndarray, where: np.ndarray) -> int:
    """Return the image whose background `picture` shows at `where`, by its green."""
    return round((np.median(picture[where][:, 1]) - 12) / 20)


def animals() -> Planted:
    """Return 4 identities with 3 images each; some frames reach beyond their photograph."""
    random = np.random.default_rng(7)
    count = IDENTITIES * EACH
    y, x = np.mgrid[:SIDE, :SIDE]
    images, masks, insides = [], [], []
    for row in range(count):
        picture = np.empty((SIDE, SIDE, 3), np.int64)
        picture[..., 0], picture[..., 1], picture[..., 2] = 30, green_of(row), 160
        picture += random.integers(-6, 7, (SIDE, SIDE, 1))
        distance = np.hypot(y - 26, (x - 24) / 1.4)
        coat = distance < 11 + random.uniform(0, 2, (SIDE, SIDE))
        animal = coat & ~binary_dilation(~coat, np.ones((3, 3)))
        shown = binary_dilation(animal, np.ones((3, 3)))
        picture[shown] = np.stack([np.full(shown.sum(), 230), random.integers(0, 256, shown.sum()), 0 * y[shown]], 1)
        inside = np.ones((SIDE, SIDE), bool)
        inside[: row % 3 * 2], inside[:, SIDE - row % 2 * 3 :] = False, False
        picture[~inside] = GREY
        images.append(picture.astype(np.uint8))
        masks.append((animal & inside) * np.uint8(255))
        insides.append(inside)
    return Planted(_manifest(count), np.stack(images), np.stack(masks), np.stack(insides))


def _manifest(count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "image": [f"{row:02d}.png" for row in range(count)],
            "identity": [f"animal {row // EACH}" for row in range(count)],
            "group": [f"group {row // EACH}" for row in range(count)],
            "mask": ["alpha"] * count,
            "background_present": [True] * count,
            "side": pl.Series([None] * count, dtype=pl.String),
        }
    )


def variant(
    planted: Planted,
    intervention: str | dict,
    folder: Path,
    without_mask: str = "error",
    **more: object,
) -> np.ndarray:
    """Return the images under an intervention as written in a config."""
    write_variant(
        planted.manifest,
        planted.images,
        planted.masks,
        resolve("background", intervention),
        folder / "images.npy",
        without_mask=without_mask,
        **more,
    )
    return np.load(folder / "images.npy")
