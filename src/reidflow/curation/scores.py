"""Scores of the training images: image quality, uniqueness, representativeness and doubt of the label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from reidflow.curation.greedy import STEPS, block_rows, exact, facility_location, k_center, steps
from reidflow.dedup.images import sharpness
from reidflow.ingest.framing import inside
from reidflow.store.tables import Contract

QUALITY = {"sharpness": 1, "exposure": 1, "contrast": 1, "resolution": 1, "truncation": -1}
"""The scores that make up `quality`, and whether a greater value is better (1) or worse (-1); `foreground` is part of
`resolution`."""
IMAGE_SCORES = ("sharpness", "exposure", "contrast", "resolution", "foreground", "truncation")
EMBEDDING_SCORES = ("uniqueness", "representativeness", "facility_location", "k_center", "label_doubt")
BLOCK = 64
MIDDLE, SPREAD = 0.5, 0.2

SCORES = Contract(
    "scores of the training images",
    {
        "image": pl.String,
        "identity": pl.String,
        **dict.fromkeys(IMAGE_SCORES, pl.Float64),
        "quality": pl.Float64,
        **dict.fromkeys(EMBEDDING_SCORES, pl.Float64),
    },
    nullable=frozenset({"foreground", "truncation", "uniqueness", "label_doubt"}),
)
"""One row per training image; the scores are explained in `score`."""


def score(
    manifest_rows: pl.DataFrame, pixels: np.ndarray, rows: np.ndarray, masks: np.ndarray, features: np.ndarray
) -> pl.DataFrame:
    """Return the SCORES of the training images, in their order; greater is better but in truncation and label_doubt.

    Of the image, on the animal (on the whole image without a mask):
        sharpness: variance of the Laplacian. exposure: share of well exposed light. contrast: root mean square of the
        luminance. resolution: pixels of the original image. Only with a mask: foreground, share of the image that is
        animal; truncation, share of the mask's outline on the edge of the image.
        quality: the harmonic mean, over `QUALITY`, of the share of images that do worse, those tied counting half:
        one grave defect is not compensated. Among images of the same kind, with or without a mask, since the sharpness
        of a whole image is not that of an animal.
    Among the training images, in the embedding of `features` (see `neighbourhood`):
        uniqueness, representativeness, label_doubt. facility_location, k_center: the share of images that the greedy
        order of the method ranks at or after this one; 1 is the first.

    manifest_rows: R rows of the manifest, the training images; `group` names the images of one moment within an
    identity (null: a moment of its own). pixels: (N, S, S, 3) uint8, masks: (N, S, S) uint8, memory-mapped or not;
    rows: (R,) int, their rows in them. features: (R, D), rows as in manifest_rows, of any length.
    Memory grows with R x D; pixels are read in blocks.
    """
    masked = (manifest_rows["mask"] != "none").to_numpy()
    measured = _image_scores(pixels, rows, masks, masked)
    measured["resolution"] = _resolution(manifest_rows)
    measured["foreground"] = np.where(masked, manifest_rows["foreground"].cast(pl.Float64).to_numpy(), np.nan)
    identity = _codes(manifest_rows["identity"].to_list())
    near = neighbourhood(features, identity, _moments(manifest_rows))
    columns = {
        "image": manifest_rows["image"],
        "identity": manifest_rows["identity"],
        **{name: measured[name] for name in IMAGE_SCORES},
        "quality": _quality(measured, masked),
        "uniqueness": near.uniqueness,
        "representativeness": near.representativeness,
        "facility_location": _ranks(facility_location(features, len(rows))),
        "k_center": _ranks(k_center(features, len(rows))),
        "label_doubt": near.label_doubt,
    }
    return pl.DataFrame(columns, schema=SCORES.columns).with_columns(pl.col(pl.Float64).fill_nan(None))


def _image_scores(pixels: np.ndarray, rows: np.ndarray, masks: np.ndarray, masked: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores (R,) that are measured on the stored pixels; truncation is NaN without a mask."""
    found = {name: np.full(len(rows), np.nan) for name in ("sharpness", "exposure", "contrast", "truncation")}
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        images = np.stack([pixels[row] for row in part])
        shown = np.stack([inside(image) for image in images])
        areas = shown & (np.stack([masks[row] for row in part]) > 0)
        animal = np.where(areas, 255, 0).astype(np.uint8)
        found["sharpness"][start : start + BLOCK] = sharpness(images, np.arange(len(part)), animal)
        for i, (image, area) in enumerate(zip(images, areas, strict=True), start):
            light = luminance(image, area)
            found["exposure"][i], found["contrast"][i] = exposure(light), contrast(light)
            if masked[i]:
                found["truncation"][i] = truncation(area, shown[i - start])
    return found


def _resolution(manifest: pl.DataFrame) -> np.ndarray:
    """Return the pixels (R,) of the original image that show the animal, or all where that is unknown."""
    pixels = pl.col("width").cast(pl.Float64) * pl.col("height") * pl.col("foreground").fill_null(1.0)
    return manifest.select(pixels).to_series().to_numpy()


def _quality(measured: dict[str, np.ndarray], masked: np.ndarray) -> np.ndarray:
    """Return the harmonic mean rank (R,) in (0, 1) over an image's known scores, among images of its kind."""
    from scipy.stats import rankdata

    ranks = np.full((len(QUALITY), len(masked)), np.nan)
    for row, (name, sign) in enumerate(QUALITY.items()):
        for kind in (masked, ~masked):
            known = np.flatnonzero(kind & ~np.isnan(measured[name]))
            ranks[row, known] = (rankdata(sign * measured[name][known]) - 0.5) / max(1, len(known))
    known = ~np.isnan(ranks)
    return known.sum(axis=0) / np.where(known, 1 / ranks, 0).sum(axis=0)


def _ranks(order: np.ndarray) -> np.ndarray:
    """Return for each image (R,) the share of images at its rank of the `order` (R,) or after it."""
    ranks = np.empty(len(order))
    ranks[order] = 1 - np.arange(len(order)) / max(1, len(order))
    return ranks


def _codes(names: Sequence) -> np.ndarray:
    """Return (R,) int64, the same number for the same name, in order of first appearance."""
    numbers: dict = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)


def _moments(manifest: pl.DataFrame) -> np.ndarray:
    """Return (R,) codes of the groups within identities; an image without a group is one of its own."""
    parts = zip(manifest["identity"], manifest["group"], manifest["image"], strict=True)
    return _codes([(i, g, None) if g is not None else (i, None, image) for i, g, image in parts])


def luminance(pixels: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Return the luminance (P,) float64 in [0, 1] (ITU-R BT.601) of pixels (S, S, 3) uint8 where `area` is True."""
    red, green, blue = pixels[area].astype(np.float64).T
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def exposure(light: np.ndarray) -> float:
    """Return how well exposed an area is, in (0, 1]: the mean of exp(-(l - 0.5)^2 / (2 x 0.2^2)) over its luminances.

    Pixels near black or white show little of the coat. Source: the well-exposedness of Mertens, Kautz & Van Reeth,
    Exposure Fusion (2007).
    """
    return float(np.exp(-np.square(light - MIDDLE) / (2 * SPREAD**2)).mean())


def contrast(light: np.ndarray) -> float:
    """Return the root mean square contrast, in [0, 0.5]: the standard deviation of the luminances (Peli 1990)."""
    return float(light.std())


def truncation(mask: np.ndarray, inside: np.ndarray) -> float:
    """Return the share of the mask's outline that is on the edge of the image, in [0, 1].

    mask: (S, S) bool, True on the animal. inside: (S, S) bool, False on padding.
    Outline: the pixels of the mask with a neighbour (of four) off it. A frame cut closer than the image counts as
    its edge, since training sees no more.
    """
    outline = mask & ~_surrounded(mask)
    edge = inside & ~_surrounded(inside)
    return float((outline & edge).sum() / max(1, outline.sum()))


def _surrounded(area: np.ndarray) -> np.ndarray:
    """Return where a pixel (S, S) and its four neighbours are all in the area; nothing does beyond the frame."""
    wide = np.pad(area, 1)
    return area & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]


@dataclass(frozen=True)
class Neighbourhood:
    """Scores (R,) float64, NaN where undefined; see `neighbourhood`."""

    uniqueness: np.ndarray
    representativeness: np.ndarray
    label_doubt: np.ndarray


def neighbourhood(features: np.ndarray, identity: np.ndarray, group: np.ndarray) -> Neighbourhood:
    """Score each image by its neighbours among the others.

    uniqueness: 1 - cosine to the nearest image of the same identity; NaN for the only one.
    representativeness: mean over the other images of max(0, cosine), what facility location gains from this one alone.
    label_doubt: the probability that images of the identity, placed at random, come as near as the nearest one: 1 - (1
    - q)^m, with m images of the identity outside the own group and q the share of other identities' images that are
    nearer (those tied count half). 0: the nearest neighbour agrees; 1/2: the neighbours agree no more than by chance.
    NaN where the identity has no image outside the group.

    features: (R, D) of the training images. identity, group: (R,) integer codes; images of one group show the same
    moment, so they are no evidence for each other's labels. Time grows with R^2, memory with R.
    """
    vectors = exact(features)
    scores = Neighbourhood(*(np.full(len(vectors), np.nan) for _ in range(3)))
    size = block_rows(len(vectors))
    for start in range(0, len(vectors), size):
        rows = np.arange(start, min(start + size, len(vectors)))
        similar = steps(vectors[rows] @ vectors.T)
        others = np.ones(similar.shape, bool)
        others[np.arange(len(rows)), rows] = False
        same = (identity[rows, None] == identity) & others
        scores.uniqueness[rows] = _uniqueness(similar, same)
        served = np.maximum(similar, 0).sum(axis=1, where=others, dtype=np.int64)
        scores.representativeness[rows] = served / STEPS / max(1, len(vectors) - 1)
        outside = others & (group[rows, None] != group)
        scores.label_doubt[rows] = _label_doubt(similar, same & outside, outside)
    return scores


def _uniqueness(similar: np.ndarray, same: np.ndarray) -> np.ndarray:
    nearest = np.where(same, similar, np.iinfo(np.int32).min).max(axis=1)
    return np.where(same.any(axis=1), 1 - nearest / STEPS, np.nan)


def _label_doubt(similar: np.ndarray, same: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Return (q,) doubts; `same`, `outside`: (q, R) which images share the identity, and which are compared."""
    nearest = np.where(same, similar, np.iinfo(np.int32).min).max(axis=1, keepdims=True)
    different = outside & ~same
    nearer = (different & (similar > nearest)).sum(axis=1) + (different & (similar == nearest)).sum(axis=1) / 2
    share = nearer / np.maximum(1, different.sum(axis=1))
    alike = same.sum(axis=1)
    return np.where(alike > 0, 1 - (1 - share) ** alike, np.nan)
