"""The layout of the Kaggle competition "Jaguar Re-Identification Challenge"."""

from reidflow.ingest.listing import Listing
from reidflow.ingest.sources._layout import list_layout


def open_source(
    *,
    path: str,
    metadata: str | None = None,
    group: str | None = None,
    flank: str | None = None,
    time: str | None = None,
) -> Listing:
    """List the folder `path` with `train.csv` (`filename,ground_truth`) and `train/train/*.png` (or `train/*.png`).

    `test.csv` with `test/test/`, where they are, add unlabelled images. Masks come from the alpha channel.
    metadata: a table with the column `filename`, relative to `path`; group, flank, time: its columns to use, e.g.
    `{name: jaguar, path: nyala, metadata: meta.csv, group: sighting, flank: flank}`.
    Raises ReidflowError for a missing table or column.
    """
    return list_layout("jaguar", path, metadata, {"group": group, "flank": flank, "time": time})
