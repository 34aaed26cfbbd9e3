"""Contact sheet of an experiment on backgrounds: the same images under every intervention and probe."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from reidflow.figures.contact import Row, Tile, write_sheet
from reidflow.figures.style import Heading
from reidflow.spec.errors import ReidflowError


def interventions_sheet(
    images_by_label: Mapping[str, np.ndarray],
    rows: Sequence[int],
    captions: Sequence[str],
    heading: Heading,
    out: str | Path,
    *,
    tile: int = 112,
) -> None:
    """Write a sheet with a row per image and a column per intervention.

    images_by_label: caption of each column -> (N, S, S, 3) uint8, best memory-mapped, in the order of the columns. rows:
    which images to show (see `typical_and_hard`). captions: of the rows; the first line is bold. Raises ReidflowError
    unless there is one caption a row.
    """
    if len(rows) != len(captions):
        raise ReidflowError(f"{out}: {len(rows)} images and {len(captions)} captions. Give one of each.")
    sheet = [
        Row([Tile(images[row], label) for label, images in images_by_label.items()], caption.split("\n"))
        for row, caption in zip(rows, captions, strict=True)
    ]
    write_sheet(sheet, out, heading, tile)


def typical_and_hard(manifest: pl.DataFrame, masks: np.ndarray, count: int) -> list[int]:
    """Return rows of images to show: spread over the identities, then those with the most difficult masks.

    masks: (N, S, S) uint8, row i being row i of the manifest. Two of three are of identities at even distances, each
    with its median mask; the rest are the hardest of all by the length of their outline in proportion to their area.
    Images without a mask or a label, and those of a gallery side, are left out; fewer than `count` rows come back if
    there are no more.
    """
    usable = (pl.col("mask") != "none") & pl.col("identity").is_not_null() & pl.col("side").ne_missing("gallery")
    labelled = manifest.with_row_index("row").filter(usable)
    hardness = pl.Series("hardness", [_outline(masks[row]) for row in labelled["row"]], dtype=pl.Float64)
    table = labelled.select("row", "identity", "image", hardness).sort("hardness", "image")
    identities = table["identity"].unique().sort().to_list()
    wanted = min(len(identities), -(-2 * count // 3))
    shown = [identities[round(i * (len(identities) - 1) / max(wanted - 1, 1))] for i in range(wanted)]
    typical = [_median(table.filter(pl.col("identity") == one)["row"].to_list()) for one in shown]
    rest = [row for row in reversed(table["row"].to_list()) if row not in set(typical)]
    return typical + rest[: max(count - len(typical), 0)]


def _median(values: list[int]) -> int:
    return values[len(values) // 2]


def _outline(mask: np.ndarray) -> float:
    """Return the length of a mask's outline over the square root of its area; 4 for a square."""
    on = np.pad(mask > 0, 1)
    length = (on[1:] != on[:-1]).sum() + (on[:, 1:] != on[:, :-1]).sum()
    return float(length / max(np.sqrt(on.sum()), 1.0))
