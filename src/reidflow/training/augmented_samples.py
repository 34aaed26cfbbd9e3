"""Training images as the network sees them under an augmentation, to be looked at."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import torch

from reidflow.models.images import to_pixels
from reidflow.spec.components import needing
from reidflow.spec.seeds import seed_for
from reidflow.training.augment import make_augment

BATCH = 16


def batch_rows(manifest: pl.DataFrame, split: pl.DataFrame, count: int = BATCH) -> list[int]:
    """Return rows of the manifest: training images at even distances, those with mask and background before others."""
    roles = split.select("image", "role")
    table = manifest.with_row_index("row").join(roles, on="image", how="inner", maintain_order="left")
    table = table.filter(pl.col("role") == "train")
    whole = ((pl.col("mask") != "none") & pl.col("background_present")).fill_null(False)
    ordered = [*table.filter(whole)["row"].to_list(), *table.filter(~whole)["row"].to_list()]
    most = len(table.filter(whole)) if len(table.filter(whole)) >= count else len(ordered)
    return [ordered[int(place)] for place in np.linspace(0, most - 1, min(count, most))]


def augmented(
    augmentation: Sequence[dict[str, Any]],
    size: int,
    pixels: np.ndarray,
    masks: np.ndarray,
    keys: Sequence[str],
    *,
    shown: int,
    versions: int,
    seed: int = 0,
) -> np.ndarray:
    """Return the first `shown` images of a batch, plain and in the versions of as many epochs.

    augmentation: resolved components. pixels: (B, S, S, 3) uint8, masks: (B, S, S) uint8 0/255, keys: the images'
    names. Result: (shown, 1 + versions, size, size, 3) uint8. On the CPU; those of a run of this seed whose batch had
    these images. Raises ReidflowError where the augmentation needs masks and there are none.
    """
    plain = to_pixels(np.asarray(pixels), size)
    looks = bool(needing("augmentation", augmentation, "masks"))
    small = to_pixels(np.asarray(masks)[..., None], size) if looks else None
    known = looks and bool((np.asarray(masks) == 0).any())
    augment = make_augment(augmentation, size, seed_for(seed, "augmentation"), masks=known)
    made = [plain, *(augment(plain, keys, epoch, small) for epoch in range(1, versions + 1))]
    stacked = torch.stack([images[:shown].float() for images in made], dim=1)
    return stacked.round().to(torch.uint8).permute(0, 1, 3, 4, 2).numpy()
