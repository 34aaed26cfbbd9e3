"""Which training images stay: the table that deduplication and curation write and training reads."""

import polars as pl

from reidflow.store.tables import Contract

KEEP = Contract(
    "choice of training images",
    {
        "image": pl.String,
        "identity": pl.String,
        "seed": pl.Int64,
        "kept": pl.Boolean,
        "group": pl.String,
        "reason": pl.String,
    },
    nullable=frozenset({"seed", "group", "reason"}),
)
"""One row per training image; of a random choice one per image and training seed. `seed` is null where the choice is
the same for every seed; `group` names the duplicates that an image stands among, `reason` says why it was left out."""


def of_seed(keep: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the rows of the choice that a training seed uses."""
    return keep.filter(pl.col("seed").is_null() | (pl.col("seed") == seed))


def dropped(keep: pl.DataFrame, seed: int) -> set[str]:
    """Return the images that a run with this seed leaves out."""
    return set(of_seed(keep, seed).filter(~pl.col("kept"))["image"])
