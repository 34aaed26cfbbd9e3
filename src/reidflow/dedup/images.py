"""What the methods of deduplication look at, and the table of pairs that they bring."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from reidflow.dedup.neighbours import unit
from reidflow.spec.components import call
from reidflow.store.tables import Contract

DUPLICATES = Contract(
    "pairs of a deduplication method",
    {"image": pl.String, "other": pl.String, "distance": pl.Float64, "same_identity": pl.Boolean},
)
"""One row per pair, `image` before `other` in the manifest; sorted so, too."""


@dataclass(frozen=True)
class Images:
    """The labelled images, R of them, in the order of the manifest.

    Attributes:
        pixels: image store (N, S, S, 3) uint8, maybe memory-mapped.
        rows: (R,) int, their rows in the store.
        names: image ids.
        identities: one an image.
        bytes: sha256 of the files.
        digests: sha256 of the framed pixels.
        features: (R, D) float32 of a frozen backbone, as they come.
    """

    pixels: np.ndarray
    rows: np.ndarray
    names: list[str]
    identities: list[str]
    bytes: list[str]
    digests: list[str]
    features: np.ndarray

    @cached_property
    def vectors(self) -> np.ndarray:
        """Return the features as (R, D) float32 unit vectors."""
        return unit(self.features)


def find_pairs(images: Images, method: dict[str, Any], loosest: float) -> pl.DataFrame:
    """Return every pair of images at most `loosest` apart by a resolved `method`, as a DUPLICATES table."""
    pairs, distances = call("duplicates", method, images, loosest)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    names, identities = (np.asarray(column, dtype=object) for column in (images.names, images.identities))
    first, second = pairs[order].T
    return pl.DataFrame(
        {
            "image": names[first].tolist(),
            "other": names[second].tolist(),
            "distance": distances[order].astype(np.float64),
            "same_identity": (identities[first] == identities[second]).astype(bool),
        },
        schema=DUPLICATES.columns,
    )
