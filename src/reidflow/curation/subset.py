"""The training images of a split, and the table of those that stay, which deduplication and curation write."""

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
the same for every seed; `group` names the duplicates of an image, `reason` says why it was dropped."""


def of_seed(keep: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the rows of the choice that a training seed uses."""
    return keep.filter(pl.col("seed").is_null() | (pl.col("seed") == seed))


def dropped(keep: pl.DataFrame, seed: int) -> set[str]:
    """Return the images that a run with this seed leaves out."""
    return set(of_seed(keep, seed).filter(~pl.col("kept"))["image"])


def training_images(split: pl.DataFrame, manifest: pl.DataFrame) -> pl.DataFrame:
    """Return the manifest's rows of the training images, with the split's `group`, and `row` in the image store."""
    groups = split.filter(pl.col("role") == "train").select("image", "group")
    return manifest.drop("group").with_row_index("row").join(groups, on="image", how="inner", maintain_order="left")
