"""The table that lies beside photographs drawn with another background."""

import polars as pl

from reidflow.store.tables import Contract

DRAWN = Contract("drawn images", {"image": pl.String, "pixels": pl.String})
"""One row per image, in the order of the manifest; pixels: SHA-256 of its row of the image store."""
