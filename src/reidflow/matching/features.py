"""Local features of an image: where its keypoints are, and what describes them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Features(NamedTuple):
    """Keypoints of an image: points (K, 2), x and y in pixels of its square, float32; descriptors (K, D), of length 1."""

    points: np.ndarray
    descriptors: np.ndarray


Matcher = Callable[[np.ndarray, np.ndarray | None], list[Features]]
"""What a component of `matchers/` builds: images (n, S, S, 3) and masks (n, S, S), uint8 -> the features of each.

Its attribute `versions`, a dictionary of texts, names what decides the features beside the code: packages, weights.
"""

BORDER = 1 / 128
"""Share of the square's side by which a keypoint stays away from the edge of the mask: what lies there is half background."""


def interior(mask: np.ndarray) -> np.ndarray:
    """Return where keypoints may lie, 0 or 255, uint8 (S, S): the mask without its border; all of it where nothing is left."""
    import cv2

    side = 2 * round(BORDER * mask.shape[0]) + 1
    inner = cv2.erode(np.where(mask >= 128, 255, 0).astype(np.uint8), np.ones((side, side), np.uint8))
    return inner if inner.any() else mask


def strongest(points: np.ndarray, responses: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the `count` keypoints of the highest response, int (K,), best first; ties by position."""
    return np.lexsort((points[:, 0], points[:, 1], -responses))[:count]


def inside(points: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return which points (K, 2) lie where `mask`, uint8 (S, S), is not 0, bool (K,)."""
    x, y = (np.clip(np.rint(points[:, axis]).astype(int), 0, mask.shape[0] - 1) for axis in (0, 1))
    return mask[y, x] > 0


def of_length_one(descriptors: np.ndarray) -> np.ndarray:
    """Return descriptors (K, D), kept in 16 bits, as float32 of length 1 again."""
    exact = np.asarray(descriptors, np.float32)
    return exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)


class Gallery(NamedTuple):
    """The local features of `count` images: points (T, 2), descriptors (T, D) in 16 bits, and the image of each, `owners` (T,).

    groups: (count,) codes of the images; those of one group are frames of one burst.
    """

    points: np.ndarray
    descriptors: np.ndarray
    owners: np.ndarray
    count: int
    groups: np.ndarray


class Matches(NamedTuple):
    """Matched keypoints of two images: their places in each, int (M,), and what each adds to the score, (M,)."""

    first: np.ndarray
    second: np.ndarray
    weights: np.ndarray


def listed_places(shortlist: np.ndarray, count: int) -> np.ndarray:
    """Return which of `count` images are on each query's list, bool (Q, count). shortlist: places (Q, k), -1 for none."""
    found = np.zeros((len(shortlist), count), bool)
    rows, columns = np.nonzero(shortlist >= 0)
    found[rows, shortlist[rows, columns]] = True
    return found
