"""The training images of another split, chosen by the same methods."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from reidflow.curation.scores import score
from reidflow.curation.selection import curated, without_duplicates
from reidflow.curation.subset import training_images
from reidflow.dedup.images import DUPLICATES
from reidflow.spec.plan import method_id, subset_id
from reidflow.spec.run import RunSpec
from reidflow.store.tables import read_table


class SelectionData(NamedTuple):
    """The data from which the methods choose.

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


def select_on_split(specs: Iterable[RunSpec], split: pl.DataFrame, data: SelectionData) -> dict[str, pl.DataFrame]:
    """Return `subset_id` -> KEEP of the training images of `split`, for the runs that do not train on all of them.

    specs: runs with their seeds: a random method chooses for each. Scores see the training images of this split alone.
    """
    by_subset: dict[str, list[RunSpec]] = {}
    for spec in specs:
        if subset_id(spec):
            by_subset.setdefault(subset_id(spec), []).append(spec)
    return {name: _selected(own, training_images(split, data.manifest), data) for name, own in by_subset.items()}


def _selected(specs: list[RunSpec], training: pl.DataFrame, data: SelectionData) -> pl.DataFrame:
    plain = specs[0].plain()
    images, masks, features = (np.load(path, mmap_mode="r") for path in (data.images, data.masks, data.features))
    pairs = read_table(data.pairs[method_id(plain["dedup"]["method"])], DUPLICATES) if plain["dedup"] else None
    choice = without_duplicates(training, plain["dedup"], pairs, images, masks)
    if not plain["curation"]:
        return choice
    rows = training["row"].to_numpy().astype(np.int64)
    scores = score(training, images, rows, masks, features[rows, 0])
    return curated(training, choice, plain["curation"], scores, features, sorted({spec.seed for spec in specs}))
