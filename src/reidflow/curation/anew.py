"""The choice of training images made anew on another split: by the same methods, from the images it trains on."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from reidflow.curation.choice import curated, without_duplicates
from reidflow.curation.scores import score
from reidflow.dedup.images import DUPLICATES
from reidflow.spec.plan import method_id, subset_id
from reidflow.spec.run import RunSpec
from reidflow.store.tables import read_table


class Material(NamedTuple):
    """What the methods look at.

    Attributes:
        manifest: MANIFEST, its rows as in the arrays.
        images: file of (N, S, S, 3) uint8. masks: file of (N, S, S) uint8. features: file of (N, views, D).
        pairs: id of a deduplication method -> file of its pairs among all labelled images.
    """

    manifest: pl.DataFrame
    images: str | Path
    masks: str | Path
    features: str | Path
    pairs: Mapping[str, str | Path]


def choose_anew(specs: Iterable[RunSpec], split: pl.DataFrame, material: Material) -> dict[str, pl.DataFrame]:
    """Return `subset_id` -> KEEP of the training images of `split`, for those runs that do not take all of them.

    specs: runs with their seeds: a random choice is drawn for each. Scores see the training images of this split alone.
    """
    by_choice: dict[str, list[RunSpec]] = {}
    for spec in specs:
        if subset_id(spec):
            by_choice.setdefault(subset_id(spec), []).append(spec)
    return {name: _choice(own, _training(split, material.manifest), material) for name, own in by_choice.items()}


def _training(split: pl.DataFrame, manifest: pl.DataFrame) -> pl.DataFrame:
    groups = split.filter(pl.col("role") == "train").select("image", "group")
    return manifest.drop("group").with_row_index("row").join(groups, on="image", how="inner", maintain_order="left")


def _choice(specs: list[RunSpec], training: pl.DataFrame, material: Material) -> pl.DataFrame:
    plain = specs[0].plain()
    images, masks, features = (
        np.load(path, mmap_mode="r") for path in (material.images, material.masks, material.features)
    )
    pairs = read_table(material.pairs[method_id(plain["dedup"]["method"])], DUPLICATES) if plain["dedup"] else None
    choice = without_duplicates(training, plain["dedup"], pairs, images, masks)
    if not plain["curation"]:
        return choice
    rows = training["row"].to_numpy().astype(np.int64)
    scores = score(training, images, rows, masks, features[rows, 0])
    return curated(training, choice, plain["curation"], scores, features, sorted({spec.seed for spec in specs}))
