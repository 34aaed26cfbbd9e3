"""Roles of a data set's labelled images, as a table with a digest."""

import polars as pl

from reidflow.spec.canonical import short
from reidflow.spec.components import call
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import Contract

SPLIT = Contract(
    "split",
    {"image": pl.String, "identity": pl.String, "group": pl.String, "role": pl.String, "side": pl.String},
    nullable=frozenset({"side"}),
)


def split_images(manifest: pl.DataFrame, groups: pl.DataFrame, method: dict, gallery: str) -> pl.DataFrame:
    """Return the split table of the labelled images, in the order of the manifest.

    method: a resolved split component. Raises ReidflowError when a role that is asked for stays empty.
    """
    labelled = manifest.filter(pl.col("identity").is_not_null()).select("image", "identity", "side")
    images = labelled.join(groups.select("image", "group", "block"), on="image", how="left", maintain_order="left")
    roles = call("split", method, images.select("image", "identity", "group", "block"), gallery)
    split = images.with_columns(role=pl.Series(roles, dtype=pl.String))
    for role in ("train", "val", "test"):
        if method.get(role, 1) > 0 and role not in roles:
            raise ReidflowError(
                f"split '{method['name']}': no image is left for '{role}'. The data set has {images['identity'].n_unique()} "
                "identities; change the shares, or add images."
            )
    return split.select(list(SPLIT.columns))


def split_digest(split: pl.DataFrame, gallery: str) -> str:
    """Return the digest of everything in a split that training and evaluation depend on."""
    return short([gallery, [list(row) for row in split.iter_rows()]], 32)
