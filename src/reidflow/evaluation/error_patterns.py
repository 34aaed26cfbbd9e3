"""Whether a wrong first candidate looks more like the query than the best true match: in colour, brightness, framing."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from skimage.color import rgb2lab

from reidflow.evaluation.retrieval_queries import Retrieval, ranked_blocks
from reidflow.ingest.framing import inside

CUES = {
    "colour": "distance of the mean colours in the plane a*, b* of CIE Lab",
    "brightness": "difference of the mean lightness L*",
    "colour with brightness": "colour difference of CIE 1976: distance of the means in L*, a*, b*",
    "framing": "difference of the share of the picture that is foreground",
}
"""Cue -> how far two pictures are from one another in it."""
SIDE = 64
"""Pixels along a side, at most, on which a mean colour is measured: every k-th row and column."""
LOOKS = ("lightness", "a", "b", "foreground")


def looks(images: np.ndarray, masks: np.ndarray, rows: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """Return (R, 4) float64: mean L*, a* and b* of the animal or face, and its share of the picture.

    Means are over the mask, over the whole photograph where there is none (or it is empty); padding does not count. The
    share is NaN where there is no mask. Lab: CIE 1976, D65, from sRGB (scikit-image).

    images: (N, S, S, 3) uint8, masks: (N, S, S) uint8, memory-mapped or not. rows: (R,) which of them. masked: (R,) bool,
    whether the photograph has a mask.
    """
    found = np.empty((len(rows), len(LOOKS)))
    step = -(-images.shape[1] // SIDE)
    for place, row in enumerate(rows):
        shown = inside(np.asarray(images[row]))
        area = shown & (np.asarray(masks[row]) > 0) if masked[place] else shown
        share = area.sum() / shown.sum() if masked[place] else np.nan
        part = area[::step, ::step]
        part = part if part.any() else shown[::step, ::step]
        colours = np.asarray(images[row])[::step, ::step][part]
        found[place] = [*rgb2lab(colours.reshape(1, -1, 3))[0].mean(axis=0), share]
    return found


def distances(query: np.ndarray, gallery: np.ndarray) -> dict[str, np.ndarray]:
    """Return cue -> (q, G) distances of looks (q, 4) to looks (G, 4), rounded past the errors of their computation."""
    apart = query[:, None, :] - gallery[None, :, :]
    lab = np.square(apart[..., :3])
    found = {
        "colour": np.sqrt(lab[..., 1] + lab[..., 2]),
        "brightness": np.sqrt(lab[..., 0]),
        "colour with brightness": np.sqrt(lab.sum(axis=-1)),
        "framing": np.abs(apart[..., 3]),
    }
    return {cue: np.round(found[cue], 9) for cue in CUES}


def error_patterns(
    retrieval: Retrieval,
    query_identity: np.ndarray,
    gallery_identity: np.ndarray,
    query_looks: np.ndarray,
    gallery_looks: np.ndarray,
    block: int = 64,
) -> pl.DataFrame:
    """Return the queries whose first candidate is wrong, a row each: `query` (its row) and two columns for each cue.

    `<cue>`: 1 if the wrong first candidate is closer to the query in the cue than the true match that ranks highest, 0 if
    it is not, 1/2 if they are as close. `<cue> by chance`: the mean of the same over all wrong candidates of the query,
    which is what a wrong candidate drawn at random would be expected to give. NaN where the looks are not known.
    Candidates that tie, in either role, count with their mean. A query counts if a wrong candidate ranks strictly before
    every true match, and it has one. Looks: as `looks` returns them. Memory does not grow with Q x G.
    """
    masks = retrieval.masks(query_identity, gallery_identity)
    parts = []
    for rows, steps in ranked_blocks(retrieval, block):
        same, excluded = masks.positive(rows), masks.excluded(rows)
        candidate = np.ones_like(same) if excluded is None else ~excluded
        true, wrong = same & candidate, ~same & candidate
        best, first = (_highest(steps, kind) for kind in (true, wrong))
        counts = np.flatnonzero(true.any(axis=1) & wrong.any(axis=1) & (first > best))
        if not len(counts):
            continue
        true &= steps == best[:, None]
        top = wrong & (steps == first[:, None])
        found = {"query": counts + rows.start}
        for cue, apart in distances(query_looks[rows], gallery_looks).items():
            reference = _mean(apart, true)[counts, None]
            values = np.where(apart[counts] < reference, 1.0, np.where(apart[counts] > reference, 0.0, 0.5))
            values[np.isnan(apart[counts] + reference)] = np.nan
            found[cue] = _mean(values, top[counts])
            found[f"{cue} by chance"] = _mean(values, wrong[counts])
        parts.append(pl.DataFrame(found))
    names = [name for cue in CUES for name in (cue, f"{cue} by chance")]
    empty = pl.DataFrame(schema={"query": pl.Int64, **dict.fromkeys(names, pl.Float64)})
    return pl.concat([empty, *(part.select(empty.columns) for part in parts)])


def _highest(steps: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Return (q,) the highest similarity among candidates of a kind; minus infinity where there is none."""
    return np.where(kind, steps, np.float32(-np.inf)).max(axis=1, initial=np.float32(-np.inf))


def _mean(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return (q,) the mean of the chosen values of each row; NaN where one of them is not known, or none is chosen."""
    with np.errstate(invalid="ignore"):
        return np.where(chosen, values, 0.0).sum(axis=1) / chosen.sum(axis=1)


def shares(values: np.ndarray, counts: np.ndarray) -> tuple[float, np.ndarray]:
    """Return a share over queries, and how much each identity and seed moves it: (I, S) of mean zero.

    values: (I, S) sums over the queries of each identity and seed. counts: (I, S) of how many queries they are, not all
    zero; a cell without a query counts as what it is, nothing. The share is a ratio of two means, linearised (Cochran,
    Sampling Techniques, 1977, section 6.4), so that an interval of a mean over identities and seeds is one of the share.
    """
    share = float(values.sum() / counts.sum())
    return share, (values - share * counts) / counts.mean()


def sums(values: Sequence[float], identity: np.ndarray, identities: int) -> np.ndarray:
    """Return (I,) sums of values (Q,) by identity codes (Q,)."""
    return np.bincount(identity, weights=np.asarray(values, np.float64), minlength=identities)
