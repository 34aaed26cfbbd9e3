"""The tables that ingest writes: the usable photographs, and those in quarantine with the reason."""

import polars as pl

from reidflow.store.tables import Contract

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
        "width": pl.Int32,
        "height": pl.Int32,
        "format": pl.String,
        "mask": pl.String,
        "foreground": pl.Float64,
        "background_present": pl.Boolean,
    },
    nullable=frozenset({"identity", "group", "flank", "time", "side", "foreground"}),
)
"""One row per usable photograph; row i describes row i of the pixel arrays."""

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
"""One row per photograph that cannot be used; `reason` is a key of `listing.REASONS`."""
