"""The tables that describe an image store: the manifest, the quarantine, and the digests of a variant's pixels."""

import polars as pl

from reidflow.store.tables import Contract

OPTIONAL = frozenset({"camera", "site", "role", "box"})
"""Columns that are part of a data set's digest only in rows that have them."""

DERIVED = frozenset({"visible"})
"""Columns that follow from the bytes of the images, and are no part of a data set's digest."""

SET_ASIDE = "aside"
"""Role of an image that is unlabelled since answers of `dataset.review` deny its label: it may show anybody who is known."""

WHOLE = 0.95
"""Share of an image above which a mask of the foreground is suspect."""

MANIFEST = Contract(
    "manifest",
    {
        "image": pl.String,
        "path": pl.String,
        "sha256": pl.String,
        "pixels": pl.String,
        "identity": pl.String,
        "group": pl.String,
        "flank": pl.String,
        "time": pl.String,
        "side": pl.String,
        "camera": pl.String,
        "site": pl.String,
        "role": pl.String,
        "box": pl.String,
        "visible": pl.String,
        "width": pl.Int32,
        "height": pl.Int32,
        "format": pl.String,
        "mask": pl.String,
        "foreground": pl.Float64,
        "background_present": pl.Boolean,
    },
    nullable=frozenset({"identity", "group", "flank", "time", "side", "foreground"} | OPTIONAL | DERIVED),
)
"""One row per usable image; row i describes row i of the pixel arrays. Images with one `path` come from one photograph;
`box`: left,top,width,height of the part of it that is the image, in pixels, upright. `visible`: of an image with alpha, the
SHA-256 of what shows, so that other colours under alpha 0 make no other picture. `role`: train, val or test, of a split that
the data give, or `SET_ASIDE`."""


def set_aside(manifest: pl.DataFrame) -> pl.Series:
    """Return which images, bool (N,), are neither trained on, nor queries, nor in a gallery."""
    return manifest["role"].eq_missing(SET_ASIDE)


QUARANTINE = Contract(
    "quarantine",
    {
        "image": pl.String,
        "path": pl.String,
        "row": pl.Int64,
        "identity": pl.String,
        "reason": pl.String,
        "detail": pl.String,
    },
    nullable=frozenset({"row", "identity"}),
)
"""One row per unusable image; `reason` is a key of `listing.REASONS`."""

PIXELS = Contract("pixels of a variant", {"image": pl.String, "pixels": pl.String})
"""One row per image of a variant (another background), as in the manifest; pixels: SHA-256 of its row of the store."""
