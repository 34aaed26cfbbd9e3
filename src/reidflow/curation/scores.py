"""Scores of the training images: how good a picture, how unlike the others, how like them, how doubtful its label."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.stats import rankdata

from reidflow.backgrounds.frame import inside
from reidflow.curation.appearance import contrast, exposure, luminance, truncation
from reidflow.curation.centres import farthest_first
from reidflow.curation.facility import greedy
from reidflow.curation.neighbours import neighbourhood
from reidflow.dedup.images import sharpness
from reidflow.store.tables import Contract

QUALITY = {"sharpness": 1, "exposure": 1, "contrast": 1, "resolution": 1, "truncation": -1}
"""The scores that make up `quality`, and whether a greater value is better (1) or worse (-1); `foreground` is part of
`resolution`."""
PICTURE = ("sharpness", "exposure", "contrast", "resolution", "foreground", "truncation")
NEIGHBOURLY = ("uniqueness", "representativeness", "facility_location", "k_center", "label_doubt")
BLOCK = 64

SCORES = Contract(
    "scores of the training images",
    {
        "image": pl.String,
        "identity": pl.String,
        **dict.fromkeys(PICTURE, pl.Float64),
        "quality": pl.Float64,
        **dict.fromkeys(NEIGHBOURLY, pl.Float64),
    },
    nullable=frozenset({"foreground", "truncation", "uniqueness", "label_doubt"}),
)
"""One row per training image; the scores are explained in `score`."""


def score(
    manifest_rows: pl.DataFrame, pixels: np.ndarray, rows: np.ndarray, masks: np.ndarray, features: np.ndarray
) -> pl.DataFrame:
    """Return the SCORES of the training images, in their order; greater is better but in truncation and label_doubt.

    Of the picture, on the animal (on the whole photograph where it has no mask):
        sharpness: variance of the Laplacian. exposure: share of well exposed light. contrast: root mean square of the
        luminance. resolution: pixels of the original photograph. With a mask alone: foreground, share of the photograph
        that is animal; truncation, share of the mask's outline on the edge of the photograph.
        quality: the harmonic mean, over `QUALITY`, of the share of images that do worse, those tied counting half:
        one grave fault is not bought back by virtues. Among images of the same kind, with or without a mask, since a
        photograph's sharpness is not an animal's.
    Among the training images, in the embedding of `features` (see `curation/neighbours`):
        uniqueness, representativeness, label_doubt. facility_location, k_center: the share of images that the greedy
        order of the method places behind this one, and itself; 1 is the first.

    manifest_rows: R rows of the manifest, the training images; `group` names the images of one moment within an
    identity (null: a moment of its own). pixels: (N, S, S, 3) uint8, masks: (N, S, S) uint8, memory-mapped or not;
    rows: (R,) int, where the images stand in them. features: (R, D), rows as in manifest_rows, of any length.
    Memory grows with R x D; pixels are read in blocks.
    """
    masked = (manifest_rows["mask"] != "none").to_numpy()
    looks = _looks(pixels, rows, masks, masked)
    looks["resolution"] = _resolution(manifest_rows)
    looks["foreground"] = np.where(masked, manifest_rows["foreground"].cast(pl.Float64).to_numpy(), np.nan)
    identity = _codes(manifest_rows["identity"].to_list())
    near = neighbourhood(features, identity, _moments(manifest_rows))
    columns = {
        "image": manifest_rows["image"],
        "identity": manifest_rows["identity"],
        **{name: looks[name] for name in PICTURE},
        "quality": _quality(looks, masked),
        "uniqueness": near.uniqueness,
        "representativeness": near.representativeness,
        "facility_location": _places(greedy(features, len(rows))),
        "k_center": _places(farthest_first(features, len(rows))),
        "label_doubt": near.label_doubt,
    }
    return pl.DataFrame(columns, schema=SCORES.columns).with_columns(pl.col(pl.Float64).fill_nan(None))


def _looks(pixels: np.ndarray, rows: np.ndarray, masks: np.ndarray, masked: np.ndarray) -> dict[str, np.ndarray]:
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
    """Return the pixels (R,) of the original photograph that show the animal, or all where that is not known."""
    pixels = pl.col("width").cast(pl.Float64) * pl.col("height") * pl.col("foreground").fill_null(1.0)
    return manifest.select(pixels).to_series().to_numpy()


def _quality(looks: dict[str, np.ndarray], masked: np.ndarray) -> np.ndarray:
    """Return the harmonic mean rank (R,) in (0, 1) over the scores that an image has, among images of its kind."""
    ranks = np.full((len(QUALITY), len(masked)), np.nan)
    for row, (name, sign) in enumerate(QUALITY.items()):
        for kind in (masked, ~masked):
            known = np.flatnonzero(kind & ~np.isnan(looks[name]))
            ranks[row, known] = (rankdata(sign * looks[name][known]) - 0.5) / max(1, len(known))
    known = ~np.isnan(ranks)
    return known.sum(axis=0) / np.where(known, 1 / ranks, 0).sum(axis=0)


def _places(order: np.ndarray) -> np.ndarray:
    """Return for each image (R,) the share of images that stand in the `order` (R,) where it stands, or behind."""
    places = np.empty(len(order))
    places[order] = 1 - np.arange(len(order)) / max(1, len(order))
    return places


def _codes(names: Sequence) -> np.ndarray:
    """Return (R,) int64, the same number for the same name, in order of first appearance."""
    numbers: dict = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)


def _moments(manifest: pl.DataFrame) -> np.ndarray:
    """Return (R,) codes of the groups within identities; an image without a group is one of its own."""
    parts = zip(manifest["identity"], manifest["group"], manifest["image"], strict=True)
    return _codes([(i, g, None) if g is not None else (i, None, image) for i, g, image in parts])
