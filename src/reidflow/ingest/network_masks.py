"""The masks that a network computes for a data set: once for each photograph (or box in it), kept by its bytes."""

import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.ingest.boxes import BLANK
from reidflow.ingest.listing import Listing, Row
from reidflow.ingest.opening import UnusableError
from reidflow.ingest.rawdigest import UNREADABLE
from reidflow.ingest.segmenter import Segmenter
from reidflow.spec.errors import ReidflowError
from reidflow.store.atomic import write_text
from reidflow.store.tables import Contract, read_table, write_table

MASKS = Contract("masks of a network", {"image": pl.String, "sha256": pl.String, "mask": pl.Binary})
"""One row per image whose data have no mask. sha256: of the photograph. mask: a PNG, black and white."""
KEPT = Contract("kept masks of a network", {"key": pl.String, "mask": pl.Binary}, nullable=frozenset({"mask"}))
"""key: the photograph's SHA-256, and the box. mask: null where the image has one of its own."""

_USED = ("image", "sha256", "key", "file")
_SHARD = 64


@dataclass(frozen=True)
class NetworkMasks:
    """What a network computed: (SHA-256 of the photograph, mask as PNG) by image, and the network itself.

    network: the resolved segmenter, and the SHA-256 of its file.
    """

    masks: Mapping[str, tuple[str, bytes]]
    network: dict[str, Any]

    def of(self, image: str, sha256: str) -> bytes | None:
        """Return the mask of an image, None where there is none for these bytes of its photograph."""
        found = self.masks.get(image)
        return found[1] if found and found[0] == sha256 else None


def compute(
    listing: Listing,
    files: Mapping[str, str],
    segmenter: Segmenter,
    place: Path,
    *,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Return the masks of the images without one, the table MASKS sorted by image.

    files: SHA-256 of each file of the data set by its path. place: the folder in which masks are kept as soon as they
    are computed, so that only images not seen before are. workers: threads, which change no mask. progress(done, all) is
    called from time to time. Images that cannot be read are left to ingest. Raises ReidflowError where the data change.
    """
    rows = [row for row in listing.rows if not row.mask and (row.segmentation or "").strip().lower() in BLANK]
    keys = {row.image: _key(row, files.get(row.path, UNREADABLE)) for row in rows}
    known = _kept(place)
    missing = {key: row for row in rows if (key := keys[row.image]) is not None and key not in known}
    waiting, done = list(missing.items()), 0

    def one(item: tuple[str, Row]) -> tuple[str, bytes | None] | None:
        key, row = item
        try:
            return key, segmenter(_read(listing.root, row, files[row.path]), row.box, row.relative)
        except UnusableError:
            return None

    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(waiting), _SHARD):
            shard = waiting[start : start + _SHARD]
            known |= _keep(place, dict(filter(None, pool.map(one, shard))))
            done += len(shard)
            if progress:
                progress(done, len(waiting))
    used = [(row.image, files[row.path], key, known[key]) for row in rows if (key := keys[row.image]) in known]
    return _table(pl.DataFrame(used, schema=dict.fromkeys(_USED, pl.String), orient="row"), place)


def _table(used: pl.DataFrame, place: Path) -> pl.DataFrame:
    """Return the table MASKS of the images `used` (image, sha256, key, file), one kept file after another."""
    found = [MASKS.empty()]
    for (file,), rows in used.partition_by("file", as_dict=True).items():
        masks = read_table(place / file, KEPT).drop_nulls("mask")
        found.append(rows.join(masks, on="key").select(*MASKS.columns))
    return pl.concat(found).sort("image")


def write(table: pl.DataFrame, network: dict[str, Any], out: Path, digest: Path) -> None:
    """Write the table MASKS, and the JSON of its digest and of the network."""
    write_table(table, out, MASKS)
    total = hashlib.sha256()
    for image, photograph, mask in table.iter_rows():
        total.update(f"{image}\0{photograph}\0{hashlib.sha256(mask).hexdigest()}\n".encode())
    write_text(digest, json.dumps({"count": len(table), "digest": total.hexdigest(), **network}, indent=1) + "\n")


def read(table: str | Path, digest: str | Path) -> NetworkMasks:
    """Return what `write` wrote."""
    found, facts = read_table(table, MASKS), json.loads(Path(digest).read_text())
    return NetworkMasks(
        {image: (photograph, mask) for image, photograph, mask in found.iter_rows()},
        {key: facts[key] for key in ("segmenter", "sha256")},
    )


def _key(row: Row, photograph: str) -> str | None:
    """Return the key under which the mask of a row is kept; None where its photograph could not be read."""
    if photograph == UNREADABLE:
        return None
    box = "" if row.box is None else f"#{','.join(map(repr, row.box))}{' relative' if row.relative else ''}"
    return f"{photograph}{box}"


def _read(root: Path, row: Row, planned: str) -> bytes:
    try:
        data = (root / row.path).read_bytes()
    except OSError as error:
        raise UnusableError("unreadable", str(error)) from error
    if hashlib.sha256(data).hexdigest() != planned:
        raise ReidflowError(
            f"{row.path}: the data changed during the run. Let the copying or editing finish, then run the same command "
            "again."
        )
    return data


def _keep(place: Path, found: Mapping[str, bytes | None]) -> dict[str, str]:
    """Add masks to a folder as one file, named by its content; return its name by key."""
    if not found:
        return {}
    table = pl.DataFrame({"key": list(found), "mask": list(found.values())}, schema=KEPT.columns)
    name = f"{_content(table)}.parquet"
    write_table(table, place / name, KEPT)
    return dict.fromkeys(found, name)


def _kept(place: Path) -> dict[str, str]:
    """Return the files of a folder that hold masks, by key. A file whose content is not what its name says is removed."""
    known: dict[str, str] = {}
    for path in sorted(place.glob("[!.]*.parquet")):
        try:
            table = read_table(path, KEPT)
        except Exception:  # a damaged file raises whatever its damaged part leads to
            table = None
        if table is None or _content(table) != path.stem:
            path.unlink(missing_ok=True)
            continue
        known |= dict.fromkeys(table["key"], path.name)
    return known


def _content(table: pl.DataFrame) -> str:
    total = hashlib.sha256()
    for key, mask in table.iter_rows():
        total.update(f"{key}\0{hashlib.sha256(mask).hexdigest() if mask is not None else ''}\n".encode())
    return total.hexdigest()[:32]
