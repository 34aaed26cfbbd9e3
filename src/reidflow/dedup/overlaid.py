"""Structural similarity of photographs laid over each other, without the frame around them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reidflow.dedup.align import LEVELS, Overlay, laid_over, overlay, shared
from reidflow.dedup.ssim import SIDE, STEP, WINDOW, resized, ssim
from reidflow.ingest.framing import GREY

KEPT = 2048
LEAST = 0.5  # of the smaller photograph, that both must show


@dataclass(frozen=True)
class Picture:
    """A grey photograph in its frame.

    Attributes:
        levels: at the sides of LEVELS, (S, S) float32.
        picture: at the side of the comparison.
        box: left, top, right, bottom of the photograph, -0.5 to 0.5 of the frame.
    """

    levels: list[np.ndarray]
    picture: np.ndarray
    box: np.ndarray


def overlaid_ssim(images: np.ndarray, rows: np.ndarray, pairs: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Return the mean SSIM of pairs of photographs, in place or laid over each other: the greater, (P,) float64.

    images: image store (N, S, S, 3) uint8; rows: (R,) int; pairs: (P, 2) int into `rows`. Grey images at `side` pixels;
    only what both photographs show counts, not the frame's grey (ingest.framing.GREY) around them; nothing shared is 0.
    SSIM in the settings of `ssim.pair_ssim`, in steps of 2^-20: copies are 1. Memory: the latest 2048 pictures.
    """

    @lru_cache(KEPT)
    def picture(index: int) -> Picture:
        image = images[rows[index]]
        levels = [resized(image, width, True)[0].astype(np.float32) for width, *_ in LEVELS]
        return Picture(levels, resized(image, side, True)[0].astype(np.float32), _photograph(image))

    values = [_similarity(picture(first), picture(second)) for first, second in pairs.tolist()]
    return np.rint(np.asarray(values, np.float64) / STEP) * STEP


def _photograph(image: np.ndarray) -> np.ndarray:
    """Return left, top, right and bottom of what is not the frame's grey; an image of nothing else counts whole."""
    shown = (image != np.asarray(GREY, np.uint8)).any(axis=2)
    down, across = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if not len(down):
        return np.array([-0.5, -0.5, 0.5, 0.5])
    edges = np.array([across[0], down[0], across[-1] + 1, down[-1] + 1])
    return edges / len(image) - 0.5


def _similarity(first: Picture, second: Picture) -> float:
    in_place = _seen_through(Overlay(), first, second)
    if in_place == 1:
        return in_place
    how = overlay(first.levels, second.levels, (first.box, second.box))
    return in_place if how == Overlay() else max(in_place, _seen_through(how, first, second))


def _seen_through(how: Overlay, first: Picture, second: Picture) -> float:
    """Return the mean SSIM of what both show under the overlay, 0 where that is too little."""
    side = len(first.picture)
    rows, columns = shared(side, how, (first.box, second.box), 1)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    smaller = min(_area(first.box), _area(second.box) / how.scale**2) * side**2
    if min(height, width) < WINDOW or (height + 2) * (width + 2) < LEAST * smaller:
        return 0.0
    seen = second.picture if how == Overlay() else laid_over(second.picture, how)
    return ssim(first.picture[rows, columns], seen[rows, columns])


def _area(box: np.ndarray) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
