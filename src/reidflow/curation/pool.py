"""The images from which a curation method chooses, and the choice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from reidflow.curation.greedy import exact
from reidflow.spec.components import call, load
from reidflow.spec.errors import ReidflowError
from reidflow.spec.seeds import seed_for


@dataclass(frozen=True)
class Pool:
    """The R training images, in their order, among which a method chooses.

    images, identities, groups: R names each; images of one group show the same moment. scores: R rows of
    `scores.SCORES`. features: (R, D) float32 of unit length. random: of the training seed where the method is random
    (`RANDOM = True` in its file), else always the same.
    """

    images: list[str]
    identities: list[str]
    groups: list[str]
    scores: pl.DataFrame
    features: np.ndarray
    random: np.random.Generator

    def codes(self) -> np.ndarray:
        """Return the identities as (R,) int64 numbers from 0, in order of first appearance."""
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(name, len(numbers)) for name in self.identities], np.int64)


def is_random(method: dict[str, Any]) -> bool:
    """Return whether a method (resolved component) is random, so that each training seed has its own choice."""
    return bool(getattr(load("curation", method["name"]), "RANDOM", False))


def choose(
    images: Sequence[str],
    identities: Sequence[str],
    groups: Sequence[str],
    scores: pl.DataFrame,
    features: np.ndarray,
    method: dict[str, Any],
    share: float,
    seed: int | None = None,
) -> np.ndarray:
    """Return which of the R images stay, bool (R,): round(share x R) of them.

    scores: holds a row of `scores.SCORES` for each image, in any order, perhaps more. features: (R, D), of any length,
    aligned with `images`. method: a resolved component of curation/methods/. seed: the training seed, for a
    random method; others ignore it. Raises ReidflowError if an image has no scores, a seed is missing, the method does
    not return what it should, or fewer than two identities stay.
    """
    name, random_choice = method["name"], is_random(method)
    if random_choice and seed is None:
        raise ReidflowError(f"curation '{name}' is random and got no seed. Pass the training seed.")
    sequence = np.random.SeedSequence(seed_for(seed if random_choice else 0, "curation", name))
    random = np.random.Generator(np.random.PCG64(sequence))
    features = exact(features).astype(np.float32)
    pool = Pool(list(images), list(identities), list(groups), _aligned(scores, images), features, random)
    count = round(share * len(pool.images))
    kept = _checked(call("curation", method, pool, count), count, len(pool.images), name)
    left = len(set(np.asarray(pool.identities, dtype=object)[kept]))
    if left < 2:
        raise ReidflowError(
            f"curation '{name}' with share {share:g} keeps {count} of {len(pool.images)} training images, of {left} "
            "identities; a training needs at least 2. Raise the share, or choose a method that keeps each identity "
            "(stratified_random, or combined with its cap)."
        )
    return kept


def _aligned(scores: pl.DataFrame, images: Sequence[str]) -> pl.DataFrame:
    """Return the rows of `scores` that belong to the images, in their order."""
    missing = sorted(set(images) - set(scores["image"]))
    if missing:
        raise ReidflowError(
            f"{len(missing)} training images have no scores, {missing[0]} first. The scores belong to another split: "
            "run again to recompute them."
        )
    return pl.DataFrame({"image": list(images)}).join(scores, on="image", how="left", maintain_order="left")


def _checked(rows: Any, count: int, total: int, name: str) -> np.ndarray:
    """Return the chosen rows as bool (total,). Raises ReidflowError unless they are `count` different ones."""
    rows = np.asarray(rows)
    kept = np.zeros(total, bool)
    if rows.ndim == 1 and np.issubdtype(rows.dtype, np.integer) and ((rows >= 0) & (rows < total)).all():
        kept[rows] = True
    if len(rows) != count or kept.sum() != count:
        raise ReidflowError(
            f"curation '{name}' should choose {count} of {total} images and did not return that many distinct rows. "
            "Its select(pool, count) must return (count,) sorted row numbers."
        )
    return kept
