"""Ingest: decode every image of a listing once, in parallel, into pixel arrays, a manifest and a quarantine."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.ingest import boxes, rawdigest
from reidflow.ingest.arrays import RowFile, need_space
from reidflow.ingest.decode import Photo
from reidflow.ingest.depth import FLOAT, SIXTEEN, THIRTY_TWO, Levels, Spread, describe, levels_of
from reidflow.ingest.detections import boxed
from reidflow.ingest.framing import frame_of
from reidflow.ingest.listing import Fault, Listing, Reading, Row, fault, reread, summary
from reidflow.ingest.manifest import DERIVED, MANIFEST, OPTIONAL, QUARANTINE, WHOLE
from reidflow.ingest.mask_files import Bounds
from reidflow.ingest.network_masks import NetworkMasks
from reidflow.ingest.opening import UnusableError
from reidflow.ingest.rawdata import DEMO
from reidflow.ingest.review import reviewed
from reidflow.ingest.squares import Squares
from reidflow.spec import components
from reidflow.spec.canonical import canonical
from reidflow.spec.errors import ReidflowError
from reidflow.store.atomic import write_text
from reidflow.store.tables import write_table

_CHUNK = 16
_SOURCES = ("alpha", "sidecar", "segmentation", "network", "none")
_RARE = ("segmentation", "network")


@dataclass(frozen=True)
class Outputs:
    """The files that ingest writes; `rejected` holds the quarantine table only when too much is bad."""

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


@dataclass(frozen=True)
class Target:
    """How images are read and framed, and where they are stored."""

    squares: Squares
    images: RowFile
    masks: RowFile


@dataclass(frozen=True)
class Ingested:
    """The result of a row of the listing: its row of the manifest and the mask's digest, or why it is unusable.

    `read` holds the SHA-256 of each file that was read, by its path in the dataset. `spread`: of an image of more than
    8 bits a channel. `whole`: width and height of the photograph.
    """

    read: dict[str, str]
    facts: dict[str, object] | None
    mask_digest: str
    unusable: UnusableError | None
    spread: Spread | None = None
    whole: tuple[int, int] | None = None


def listing_of(dataset: dict[str, Any], results: Path) -> Listing:
    """Return the images of a resolved `dataset` as the config says that they are read; the demo's are in the results."""
    source = dataset["source"]
    path = {"path": str(results / "data" / DEMO)} if source["name"] == DEMO else {}
    listing = reread(components.call("source", {**source, **path}), Reading.of(dataset))
    listing = boxed(listing, **dataset["detections"]) if dataset["detections"] else listing
    return reviewed(listing, dataset["review"]) if dataset.get("review") else listing


def ingest(
    listing: Listing,
    out: Outputs,
    *,
    frame: dict[str, Any],
    size: int,
    max_bad_share: float,
    max_pixels: int,
    workers: int,
    levels: Sequence[float] | None = None,
    raw: Raw | None = None,
    network: NetworkMasks | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write the images of `listing`, framed to squares of side `size`, sorted by image id.

    frame: resolved spec of a component of `frames/`. workers: threads (the decoders release Python's lock); they
    change no output. levels: the values that become 0 and 255 in images of more than 8 bits a channel; without them, the
    range of all such images, which are then decoded a second time. progress(done, all) is called from time to time.
    `raw`: check that the data are those planned. Returns sentences about what was done that a person should read.
    Raises ReidflowError if the data changed meanwhile, if more than `max_bad_share` of the rows is bad, or none is
    usable.
    """
    planned = verify(listing, raw) if raw else None
    out.digest.unlink(missing_ok=True)
    need_space(out.images.parent, len(listing.rows) * size * size * 4)
    images, masks = RowFile(out.images, (size, size, 3)), RowFile(out.masks, (size, size))
    try:
        given: Levels = dict.fromkeys((SIXTEEN, THIRTY_TWO, FLOAT), tuple(levels)) if levels else {}
        squares = Squares(listing.root, frame_of(frame), size, max_pixels, given, network)
        target = Target(squares, images, masks)
        results = _ingest_all(listing.rows, range(len(listing.rows)), target, workers, progress)
        chosen = given or levels_of(result.spread for result in results if result.spread)
        deep = [i for i, one in enumerate(results) if one.spread and chosen[one.spread.kind] != one.spread.default]
        if not given:
            target = replace(target, squares=replace(squares, levels=chosen))
            again = _ingest_all(listing.rows, deep, target, workers, progress)
            for i, result in zip(deep, again, strict=True):
                results[i] = result
        if raw and planned:
            _verify_read(results, planned)
            verify(listing, raw)
        faults = sorted(listing.faults + _faults(listing.rows, results), key=lambda f: (f.image, f.row or 0))
        _accept(listing, faults, max_bad_share, out)
        usable = [i for i, result in enumerate(results) if result.unusable is None]
        images.finish(usable)
        masks.finish(usable)
    finally:
        images.discard()
        masks.discard()
    kept = [results[i] for i in usable]
    spreads = [one.spread for one in kept if one.spread]
    used = {kind: list(chosen[kind]) for kind in sorted({one.kind for one in spreads})}
    notes = [*listing.notes, *_clipped(listing.rows, results), *describe(spreads, chosen), *_covering(kept)]
    more = {
        "network": network.network if network else None,
        "boxes": sum(one.facts["box"] is not None for one in kept),
        "levels": used,
        "notes": notes,
    }
    more = {key: value for key, value in more.items() if value}
    _write_tables(kept, faults, listing, out, {"size": size, "frame": frame}, more)
    return notes


def _clipped(rows: list[Row], results: list[Ingested]) -> list[str]:
    """Return what a person should know of boxes that reach outside their photograph."""
    boxed = [(row, one.whole) for row, one in zip(rows, results, strict=True) if row.box and one.whole]
    outside = [row.image for row, whole in boxed if not boxes.inside(row.box, row.relative, *whole)]
    turned = [(boxes.as_corners(row.box), row.relative, whole) for row, whole in boxed if outside]
    corners = all(min(box[2:]) > 0 and boxes.inside(box, relative, *whole) for box, relative, whole in turned)
    return boxes.describe_clipped(outside, len(boxed), corners)


def _ingest_all(
    rows: list[Row], numbers: Sequence[int], target: Target, workers: int, progress: Callable[[int, int], None] | None
) -> list[Ingested]:
    """Return what became of the rows of the given numbers, in their order."""

    def chunk(start: int) -> list[Ingested]:
        return [_ingest_row(rows[i], i, target) for i in numbers[start : start + _CHUNK]]

    results: list[Ingested] = []
    pool = ThreadPoolExecutor(workers)
    try:
        for part in pool.map(chunk, range(0, len(numbers), _CHUNK)):
            results += part
            if progress:
                progress(len(results), len(numbers))
    finally:
        pool.shutdown(cancel_futures=True)
    return results


def verify(listing: Listing, raw: Raw) -> rawdigest.Snapshot:
    """Return the files as they are now; raise ReidflowError unless they, and the tables read, are those planned."""
    now = rawdigest.snapshot(listing.root, raw.cache, listing.extra, links="follow", save=False)
    changed = [name for name, sha in listing.tables.items() if now.files.get(name) != sha]
    if now.digest != raw.digest or changed:
        raise _changed(changed[0] if changed else str(listing.root))
    return now


def _verify_read(results: list[Ingested], planned: rawdigest.Snapshot) -> None:
    for result in results:
        for name, sha in result.read.items():
            if planned.files.get(name) != sha:
                raise _changed(name)


def _changed(what: str) -> ReidflowError:
    return ReidflowError(
        f"{what}: the data changed during the run, so results would not match the plan. Let the copying or "
        "editing finish, then run the same command again."
    )


def _faults(rows: list[Row], results: list[Ingested]) -> list[Fault]:
    bad = ((row, result.unusable) for row, result in zip(rows, results, strict=True) if result.unusable)
    return [fault(row, unusable.reason, unusable.detail) for row, unusable in bad]


def _accept(listing: Listing, faults: list[Fault], max_bad_share: float, out: Outputs) -> None:
    """Raise ReidflowError, and leave the quarantine table at `out.rejected`, if too many rows are bad."""
    total = len(listing.rows) + len(listing.faults)
    out.rejected.unlink(missing_ok=True)
    if total > len(faults) and len(faults) <= max_bad_share * total:
        return
    write_table(_quarantine(faults), out.rejected, QUARANTINE)
    if total == len(faults):
        count = f"{total} of {total} images cannot be used, so none is left"
        remedy = "Check 'path' and the other keys of dataset.source first, then correct the files or labels."
    else:
        count = f"{len(faults)} of {total} images cannot be used, more than max_bad_share = {max_bad_share:g} allows"
        remedy = "Correct the files or labels; or, if the rest is enough, raise dataset.max_bad_share."
    blank = sum(f.reason == "no_identity" for f in faults)
    marking = 'If blank labels mean that nobody knows, write under dataset: `unlabelled: [""]`.' if blank else ""
    advice = " ".join(filter(None, [listing.advice, marking, remedy]))
    raise ReidflowError(f"{listing.root}: {count}.\n{summary(faults)}\nAll are listed in {out.rejected}. {advice}")


def _covering(results: list[Ingested]) -> list[str]:
    """Return a sentence on computed masks of nearly all of their image."""
    facts = [one.facts for one in results if one.facts and one.facts["mask"] == "network"]
    whole = [one["image"] for one in facts if one["foreground"] > WHOLE]
    if not whole:
        return []
    return [
        f"{len(whole)} of {len(facts)} masks that the network computed cover over {WHOLE:.0%} of the image, such as that of "
        f"{whole[0]}. Look at figures/data/masks.png"
    ]


def _quarantine(faults: list[Fault]) -> pl.DataFrame:
    rows = [{key: getattr(f, key) for key in QUARANTINE.columns} for f in faults]
    return pl.DataFrame(rows, schema=QUARANTINE.columns)


def _write_tables(
    results: list[Ingested],
    faults: list[Fault],
    listing: Listing,
    out: Outputs,
    framing: dict[str, Any],
    more: dict[str, Any],
) -> None:
    """Write manifest and quarantine, and last the summary, which marks the output as complete."""
    write_table(pl.DataFrame([r.facts for r in results], schema=MANIFEST.columns), out.manifest, MANIFEST)
    write_table(_quarantine(faults), out.quarantine, QUARANTINE)
    total = hashlib.sha256()
    for result in results:
        counted = ((key, value) for key, value in result.facts.items() if key not in DERIVED)
        facts = {key: value for key, value in counted if value is not None or key not in OPTIONAL}
        total.update(canonical([facts, result.mask_digest]).encode() + b"\n")
    masks = Counter(str(result.facts["mask"]) for result in results)
    reasons = Counter(f.reason for f in faults)
    summary = {
        "count": len(results),
        **framing,
        "digest": total.hexdigest(),
        "masks": {source: masks[source] for source in _SOURCES if masks[source] or source not in _RARE},
        "background_present": sum(bool(result.facts["background_present"]) for result in results),
        "quarantined": {reason: reasons[reason] for reason in sorted(reasons)},
        "ignored": listing.ignored,
        **more,
    }
    write_text(out.digest, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")


def _ingest_row(row: Row, index: int, target: Target) -> Ingested:
    """Read, decode and frame the image of `row`, and write it as row `index` of the arrays."""
    read: dict[str, str] = {}
    try:
        square = target.squares.read(row, read)
    except UnusableError as unusable:
        return Ingested(read, None, "", unusable)
    photo, pixels, mask = square.photo, square.pixels.tobytes(), square.mask.tobytes()
    target.images.write(pixels, index)
    target.masks.write(mask, index)
    facts = _facts(photo, row, sha256=read[row.path], pixels=hashlib.sha256(pixels).hexdigest())
    return Ingested(read, facts, hashlib.sha256(mask).hexdigest(), None, photo.spread, photo.whole)


def _facts(photo: Photo, row: Row, *, sha256: str, pixels: str) -> dict[str, object]:
    """Return the row of the manifest."""
    return {
        "image": row.image,
        "path": row.path,
        "sha256": sha256,
        "pixels": pixels,
        "identity": row.identity,
        "group": row.group,
        "flank": row.flank,
        "time": row.time or photo.time,
        "side": row.side,
        "camera": row.camera,
        "site": row.site,
        "role": row.role,
        "box": _pixels(photo.box) if photo.box else None,
        "visible": photo.visible,
        "width": photo.width,
        "height": photo.height,
        "format": photo.format,
        "mask": photo.source,
        "foreground": photo.foreground,
        "background_present": photo.background_present,
    }


def _pixels(part: Bounds) -> str:
    left, top, right, bottom = part
    return f"{left},{top},{right - left},{bottom - top}"
