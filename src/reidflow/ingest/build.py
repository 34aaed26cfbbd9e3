"""Ingest: every photograph of a listing decoded once, in parallel, into pixel arrays, a manifest and a quarantine."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.ingest import rawdigest
from reidflow.ingest.arrays import RowFile, need_space
from reidflow.ingest.develop import Developed, Settings, develop
from reidflow.ingest.listing import REASONS, Fault, Listing, Row, fault
from reidflow.ingest.manifest import MANIFEST, QUARANTINE
from reidflow.spec import components
from reidflow.spec.canonical import canonical
from reidflow.spec.errors import ReidflowError
from reidflow.store.atomic import write_text
from reidflow.store.tables import write_table

_CHUNK = 16
_SHOWN = 5


@dataclass(frozen=True)
class Outputs:
    """Where ingest writes. `rejected` receives the quarantine table when too much is bad, and is removed otherwise."""

    manifest: Path
    quarantine: Path
    images: Path
    masks: Path
    digest: Path
    rejected: Path


@dataclass(frozen=True)
class Raw:
    """The identity of the raw data as planned: their digest, and the cache of file stats that it was made with."""

    digest: str
    cache: Path


def ingest(
    listing: Listing,
    out: Outputs,
    *,
    frame: dict[str, Any],
    size: int,
    max_bad_share: float,
    max_pixels: int,
    workers: int,
    raw: Raw | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the photographs of `listing`, framed to squares of side `size`, sorted by image id.

    frame: resolved spec of a component of `frames/`. workers: threads (the decoders let go of Python's lock); they
    change no output. progress(done, all) is called now and then. `raw`: verify that what is read is what was planned.
    Raises ReidflowError if the data changed meanwhile, if more than `max_bad_share` of the rows is bad, or none is
    usable.
    """
    planned = _verify(listing, raw) if raw else None
    out.digest.unlink(missing_ok=True)
    need_space(out.images.parent, len(listing.rows) * size * size * 4)
    images, masks = RowFile(out.images, (size, size, 3)), RowFile(out.masks, (size, size))
    try:
        module = components.load("frame", frame["name"])
        parameters = {key: value for key, value in frame.items() if key != "name"}
        settings = Settings(listing.root, partial(module.box, **parameters), size, max_pixels, images, masks)
        results = _develop_all(listing.rows, settings, workers, progress)
        if raw and planned:
            _verify_read(results, planned)
            _verify(listing, raw)
        faults = sorted(listing.faults + _faults(listing.rows, results), key=lambda f: (f.image, f.row or 0))
        _accept(listing, faults, max_bad_share, out)
        usable = [i for i, result in enumerate(results) if result.unusable is None]
        images.finish(usable)
        masks.finish(usable)
    finally:
        images.discard()
        masks.discard()
    _write_tables([results[i] for i in usable], faults, listing, out, {"size": size, "frame": frame})


def _develop_all(
    rows: list[Row], settings: Settings, workers: int, progress: Callable[[int, int], None] | None
) -> list[Developed]:
    def chunk(start: int) -> list[Developed]:
        return [develop(rows[i], i, settings) for i in range(start, min(start + _CHUNK, len(rows)))]

    results: list[Developed] = []
    pool = ThreadPoolExecutor(workers)
    try:
        for developed in pool.map(chunk, range(0, len(rows), _CHUNK)):
            results += developed
            if progress:
                progress(len(results), len(rows))
    finally:
        pool.shutdown(cancel_futures=True)
    return results


def _verify(listing: Listing, raw: Raw) -> rawdigest.Snapshot:
    """Return the files as they are now; raise ReidflowError unless they, and the tables read, are those planned."""
    now = rawdigest.snapshot(listing.root, raw.cache, listing.extra, save=False)
    changed = [name for name, sha in listing.tables.items() if now.files.get(name) != sha]
    if now.digest != raw.digest or changed:
        raise _changed(changed[0] if changed else str(listing.root))
    return now


def _verify_read(results: list[Developed], planned: rawdigest.Snapshot) -> None:
    for result in results:
        for name, sha in result.read.items():
            if planned.files.get(name) != sha:
                raise _changed(name)


def _changed(what: str) -> ReidflowError:
    return ReidflowError(
        f"{what}: the data changed during the run, so results would not belong to what was planned. Let the copying or "
        "editing finish, then run the same command again."
    )


def _faults(rows: list[Row], results: list[Developed]) -> list[Fault]:
    bad = ((row, result.unusable) for row, result in zip(rows, results, strict=True) if result.unusable)
    return [fault(row, unusable.reason, unusable.detail) for row, unusable in bad]


def _accept(listing: Listing, faults: list[Fault], max_bad_share: float, out: Outputs) -> None:
    """Raise ReidflowError, and leave the quarantine table at `out.rejected`, if too many rows are bad."""
    total = len(listing.rows) + len(listing.faults)
    out.rejected.unlink(missing_ok=True)
    if total > len(faults) and len(faults) <= max_bad_share * total:
        return
    write_table(_quarantine(faults), out.rejected, QUARANTINE)
    counts = Counter(f.reason for f in faults)
    reasons = "\n".join(f"  {counts[r]} x {r}: {REASONS.get(r, r)}" for r in sorted(counts))
    first = "\n".join(f"  {f.image} ({f.reason}: {f.detail})" for f in faults[:_SHOWN])
    if total == len(faults):
        count = f"{total} of {total} photographs cannot be used, so none is left"
        remedy = "Look at 'path' and the other keys of dataset.source first, then correct the files or labels."
    else:
        count = (
            f"{len(faults)} of {total} photographs cannot be used, more than max_bad_share = {max_bad_share:g} allows"
        )
        remedy = "Correct the files or labels; or, if the rest is enough, raise dataset.max_bad_share."
    raise ReidflowError(
        f"{listing.root}: {count}.\n{reasons}\nFor example:\n{first}\nAll of them are in {out.rejected}. {remedy}"
    )


def _quarantine(faults: list[Fault]) -> pl.DataFrame:
    rows = [{key: getattr(f, key) for key in QUARANTINE.columns} for f in faults]
    return pl.DataFrame(rows, schema=QUARANTINE.columns)


def _write_tables(
    results: list[Developed], faults: list[Fault], listing: Listing, out: Outputs, settings: dict[str, Any]
) -> None:
    """Write manifest and quarantine, and last the small file that says that all of it is there."""
    write_table(pl.DataFrame([r.facts for r in results], schema=MANIFEST.columns), out.manifest, MANIFEST)
    write_table(_quarantine(faults), out.quarantine, QUARANTINE)
    total = hashlib.sha256()
    for result in results:
        total.update(canonical([result.facts, result.mask_digest]).encode() + b"\n")
    masks = Counter(str(result.facts["mask"]) for result in results)
    reasons = Counter(f.reason for f in faults)
    summary = {
        "count": len(results),
        **settings,
        "digest": total.hexdigest(),
        "masks": {source: masks[source] for source in ("alpha", "sidecar", "none")},
        "background_present": sum(bool(result.facts["background_present"]) for result in results),
        "quarantined": {reason: reasons[reason] for reason in sorted(reasons)},
        "ignored": listing.ignored,
    }
    write_text(out.digest, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
