"""The training images that stay: duplicates dropped, then the most valuable of the rest."""

from typing import Any

import numpy as np
import polars as pl

from reidflow.curation.pool import choose, is_random
from reidflow.curation.subset import KEEP
from reidflow.dedup.images import sharpness
from reidflow.dedup.keep import keep


def without_duplicates(
    training: pl.DataFrame,
    dedup: dict[str, Any] | None,
    pairs: pl.DataFrame | None,
    images: np.ndarray,
    masks: np.ndarray,
) -> pl.DataFrame:
    """Return the KEEP table of the training images, one of each group of duplicates kept; all without `dedup`.

    training: image, identity, row (in the store), in order of the manifest. dedup: threshold, scope and keep of a run
    spec. pairs: DUPLICATES of its method. images: (N, S, S, 3) uint8, masks: (N, S, S) uint8, memory-mapped or not.
    """
    empty = {name: pl.lit(None, KEEP.columns[name]) for name in ("seed", "group", "reason")}
    if not dedup or pairs is None:
        return training.select("image", "identity", kept=pl.lit(True), **empty).select(list(KEEP.columns))
    rows = training["row"].to_numpy().astype(np.int64)
    sharp = sharpness(images, rows, masks) if dedup["keep"] == "sharpest" else None
    named = training.select("image", "identity")
    found = keep(named, pairs, dedup["threshold"], dedup["scope"], dedup["keep"], sharp)
    return found.with_columns(seed=empty["seed"]).select(list(KEEP.columns))


def curated(
    training: pl.DataFrame,
    choice: pl.DataFrame,
    curation: dict[str, Any],
    scores: pl.DataFrame,
    features: np.ndarray,
    seeds: list[int],
) -> pl.DataFrame:
    """Return the choice without the images that a method does not choose, once for each seed where it is random.

    training: image, identity, group, row, as in `choice`, a KEEP table. curation: method and share of a run spec.
    scores: SCORES of the training images. features: (N, views, D), rows as in the store. seeds: of all runs.
    """
    stayed = choice["kept"].to_numpy()
    pool = training.filter(pl.Series(stayed))
    lists = [pool[name].to_list() for name in ("image", "identity", "group")]
    vectors = features[pool["row"].to_numpy(), 0]
    found = []
    for seed in seeds if is_random(curation["method"]) else [None]:
        kept = stayed.copy()
        kept[stayed] = choose(*lists, scores, vectors, curation["method"], curation["share"], seed)
        reason = pl.when(pl.Series(stayed & ~kept)).then(pl.lit("not chosen")).otherwise("reason")
        found.append(choice.with_columns(seed=pl.lit(seed, pl.Int64), kept=pl.Series(kept), reason=reason))
    return pl.concat(found)
