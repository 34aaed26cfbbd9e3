"""The labelled images that a deduplication method compares, how they are reduced, and the table of pairs it returns."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from reidflow.dedup.neighbours import MOST, unit
from reidflow.spec.components import call
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import Contract, read_table

DUPLICATES = Contract(
    "pairs of a deduplication method",
    {"image": pl.String, "other": pl.String, "distance": pl.Float64, "same_identity": pl.Boolean},
)
"""One row per pair, `image` before `other` in the manifest; sorted so, too."""

SHARPNESS_SIDE = 128
FEWEST_PIXELS = 64  # of an animal, for its sharpness to mean anything


@dataclass(frozen=True)
class Images:
    """The labelled images, R of them, in the order of the manifest.

    Attributes:
        pixels: image store (N, S, S, 3) uint8, maybe memory-mapped.
        rows: (R,) int, their rows in the store.
        names: image ids.
        identities: one per image.
        file_digests: SHA-256 of the files.
        pixel_digests: SHA-256 of the framed pixels.
        features: (R, D) float32 of a frozen backbone, of any length.
        workers: processes or threads that a method may use; they change only the time.
        first: the rows i of the pairs (i, j) that a method of `shards.PAIRWISE` returns; None: all.
    """

    pixels: np.ndarray
    rows: np.ndarray
    names: list[str]
    identities: list[str]
    file_digests: list[str]
    pixel_digests: list[str]
    features: np.ndarray
    workers: int = 1
    first: slice | None = None

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


def pairs_of_shards(files: Iterable[str], loosest: float) -> pl.DataFrame:
    """Return the pairs that the jobs of shards found, as `find_pairs` of all images does.

    Raises ReidflowError for more than `MOST` pairs in all, before more of them are read.
    """
    found, total = [], 0
    for file in files:
        found.append(read_table(file, DUPLICATES))
        total += len(found[-1])
        if total > MOST:
            raise ReidflowError(
                f"more than {MOST:,} pairs of images are at most {loosest:g} apart. Lower the largest threshold."
                if loosest > 0
                else f"more than {MOST:,} pairs of images are 0 apart: the images are too alike for this method."
            )
    return pl.concat(found)


def equal_pairs(digests: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs (P, 2) int64 of rows with equal digests, i < j, and their distances, 0."""
    rows: dict[str, list[int]] = {}
    for row, digest in enumerate(digests):
        rows.setdefault(digest, []).append(row)
    pairs = [(i, j) for same in rows.values() for position, i in enumerate(same) for j in same[position + 1 :]]
    return np.asarray(sorted(pairs), np.int64).reshape(-1, 2), np.zeros(len(pairs))


def grey(image: np.ndarray, side: int) -> np.ndarray:
    """Return an (H, W, 3) or (H, W) uint8 image in grey at side x side pixels, uint8 (Pillow, area average)."""
    return np.asarray(Image.fromarray(image).convert("L").resize((side, side), Image.Resampling.BOX))


def sharpness(
    images: np.ndarray, rows: np.ndarray, masks: np.ndarray | None = None, side: int = SHARPNESS_SIDE
) -> np.ndarray:
    """Return the variance of the Laplacian of the given rows of an image store, (R,) float64 in squared grey values.

    images: (N, S, S, 3) uint8; rows: (R,) int; masks: (N, S, S) uint8 of the same store, animal where >= 128, or None.
    Images are made grey and `side` pixels wide, at most S, so that size is not mistaken for sharpness. With masks, only
    the animal counts, without the pixels at its outline; where it has fewer than 64 pixels, the whole image counts.
    Source: Pech-Pacheco et al. 2000, doi:10.1109/ICPR.2000.903548.
    """
    from scipy.ndimage import laplace

    side = min(side, images.shape[1])
    values = np.empty(len(rows))
    for i, row in enumerate(rows):
        edges = laplace(grey(images[row], side).astype(np.float64))
        values[i] = edges.var() if masks is None else _variance_inside(edges, masks[row])
    return values


def _variance_inside(edges: np.ndarray, mask: np.ndarray) -> float:
    from scipy.ndimage import binary_erosion

    animal = binary_erosion(grey(mask, len(edges)) >= 128, border_value=1)
    return float(edges[animal].var() if animal.sum() >= FEWEST_PIXELS else edges.var())
