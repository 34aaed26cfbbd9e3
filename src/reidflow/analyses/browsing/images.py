"""Which images can be browsed, and their thumbnails side by side."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from PIL import Image

from reidflow.evaluation.layout import Layout

MOST = 1500
"""Images that can be browsed, at most: a page carries their thumbnails."""
TILES = {400: 64, MOST: 48}
"""Side of a thumbnail, pixels, by the number of images: multiples of 16, so that a JPEG mixes no neighbours."""
QUALITIES, BYTES = (85, 70, 55, 40, 25), 1_600_000
"""The first quality whose JPEG is not larger is taken; the last one in any case."""


def browsed(layout: Layout, ranked: pl.DataFrame, most: int = MOST) -> tuple[pl.DataFrame, list[str]]:
    """Return the images that can be browsed (image, identity), sorted by identity and name, and the queries among them.

    ranked: RANKED of the runs that are shown. Where there are more than `most` evaluated images, queries are taken in
    turn from each identity, by their names, as long as there is room for them and their candidates.
    """
    evaluated = layout.table[layout.evaluated].select("image", "identity")
    queries = layout.table[layout.query].select("image", "identity")
    if ranked.is_empty():
        return evaluated.clear(), []
    if len(evaluated) <= most:
        return evaluated.sort("identity", "image"), sorted(queries["image"])
    turn = pl.int_range(pl.len()).over("identity").alias("turn")
    ordered = queries.sort("image").with_columns(turn).sort("turn", "identity")["image"]
    candidates = dict(ranked.group_by("query").agg(pl.col("image").unique()).iter_rows())
    shown: set[str] = set()
    taken = []
    for query in ordered:
        more = shown | {query, *candidates.get(query, ())}
        if len(more) > most:
            break
        shown = more
        taken.append(query)
    return evaluated.filter(pl.col("image").is_in(sorted(shown))).sort("identity", "image"), sorted(taken)


@dataclass(frozen=True)
class Thumbnails:
    """Thumbnails of `tile` x `tile` pixels in rows of `columns`, as the bytes of a JPEG."""

    jpeg: bytes
    tile: int
    columns: int


def thumbnails(images: np.ndarray, rows: Sequence[int], tile: int | None = None, most_bytes: int = BYTES) -> Thumbnails:
    """Return the thumbnails of some rows of images (N, H, W, 3) uint8, in their order, from left to right and down.

    tile: the side of each, a multiple of 16; None: by the number of images. most_bytes: as `BYTES`.
    """
    tile = tile or next(side for most, side in TILES.items() if len(rows) <= most)
    columns = max(1, math.ceil(math.sqrt(len(rows))))
    canvas = Image.new("RGB", (columns * tile, max(1, math.ceil(len(rows) / columns)) * tile), "white")
    for place, row in enumerate(rows):
        small = Image.fromarray(np.ascontiguousarray(images[row])).resize((tile, tile), Image.Resampling.LANCZOS)
        canvas.paste(small, (place % columns * tile, place // columns * tile))
    for quality in QUALITIES:
        encoded = io.BytesIO()
        canvas.save(encoded, "JPEG", quality=quality)
        if len(encoded.getvalue()) <= most_bytes:
            break
    return Thumbnails(encoded.getvalue(), tile, columns)
