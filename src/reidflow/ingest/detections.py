"""Boxes that a detector of animals (MegaDetector) found in the photographs of any source."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from reidflow.ingest.boxes import Box
from reidflow.ingest.listing import Listing, Row, fault
from reidflow.ingest.rawdigest import table_name
from reidflow.ingest.sources import _json
from reidflow.spec.errors import ReidflowError

_NEEDED = "a file of detections as MegaDetector writes it: images, each with file and detections"
_CLASSES = {"1": "animal", "2": "person", "3": "vehicle"}
_TRIED = 500  # images by which the folders are compared
_DEEP = 12


class Detection(NamedTuple):
    """A box with the confidence of the detector; relative: in shares of the photograph's sides, else in pixels."""

    confidence: float
    box: Box
    relative: bool


def boxed(listing: Listing, path: str, confidence: float, category: str, several: str, without: str) -> Listing:
    """Return the listing with the images cut to what was detected, as far as they have no box yet.

    The file names images by their path in the dataset, or from other folders on: what both have in common must tell them
    apart. confidence, category: which detections count. Of several in one photograph the most confident is used; several
    `each`: all of them, of unlabelled photographs (a label is of one animal). without: `keep` uses photographs without a
    detection whole, `quarantine` does not use them. Raises ReidflowError for a file of another form or of other images.
    """
    content, sha256 = _json.read(Path(path).expanduser(), _NEEDED)
    found = read(content, path, confidence, category)
    name_of = _names([row.path for row in listing.rows if row.box is None], list(found), path, listing.root)
    rows: list[Row] = []
    faults = list(listing.faults)
    counts: Counter[str] = Counter()
    for row in listing.rows:
        if row.box is not None:
            rows.append(row)
            continue
        detected = found.get(name_of.get(row.path, ""), [])
        if not detected:
            counts["unknown" if row.path not in name_of else "none"] += 1
            if without == "keep":
                rows.append(row)
            else:
                known = row.path in name_of
                faults.append(fault(row, "no_detection", "nothing was found" if known else f"it is not in {path}"))
            continue
        all_of = several == "each" and row.identity is None
        counts["several"] += len(detected) > 1 and not all_of
        rows += [replace(row, box=one.box, relative=one.relative) for one in (detected if all_of else detected[:1])]
    file = Path(path).expanduser()
    name = table_name(file, listing.root)
    return replace(
        listing,
        rows=sorted(rows, key=lambda row: row.image),
        faults=sorted(faults, key=lambda one: (one.image, one.row or 0)),
        tables={**listing.tables, name: sha256},
        extra=[*listing.extra, *([file] if name.startswith("/") else [])],
        notes=[*listing.notes, *_notes(counts, path, without)],
    )


def read(content: Any, path: str, confidence: float, category: str) -> dict[str, list[Detection]]:
    """Return the detections of each file, the most confident first; Windows' separators become `/`.

    Both forms are read: MegaDetector's `images` with `conf` and relative boxes (x, y, width, height), and the list of
    PyTorch-Wildlife's command with `confidence` and corners in pixels. Raises ReidflowError for another form.
    """
    images = content.get("images") if isinstance(content, dict) else content
    if not isinstance(images, list) or not all(isinstance(one, dict) and "file" in one for one in images):
        raise ReidflowError(f"{path}: it is not {_NEEDED}. Correct 'dataset.detections'.")
    classes = content.get("detection_categories", _CLASSES) if isinstance(content, dict) else {}
    if not isinstance(classes, dict):
        raise ReidflowError(
            f"{path}: its 'detection_categories' are no mapping, such as {_CLASSES}, so it is not {_NEEDED}. Correct the file."
        )
    if isinstance(content, dict) and category not in classes.values():
        raise ReidflowError(
            f"{path}: there is no category '{category}'. Its categories are {', '.join(map(str, classes.values()))}. Correct "
            "'dataset.detections.category'."
        )
    found: dict[str, list[Detection]] = {}
    for image in images:
        try:
            some = [_detection(one) for one in image.get("detections") or [] if _class(one, classes) == category]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ReidflowError(
                f"{path}: a detection of '{image['file']}' is damaged ({error}). Write the file again."
            ) from error
        name = str(image["file"]).replace("\\", "/")
        found[name] = sorted(
            (one for one in some if one.confidence >= confidence), key=lambda one: (-one.confidence, one.box)
        )
    return found


def _class(one: dict, classes: dict[str, str]) -> str:
    return classes.get(str(one["category"]), str(one["category"]))


def _detection(one: dict) -> Detection:
    relative = "conf" in one
    first, second, third, fourth = (float(value) for value in one["bbox"])
    score = float(one["conf"] if relative else one["confidence"])
    if not all(map(math.isfinite, (first, second, third, fourth, score))):
        raise ValueError("a number is not finite")
    box = (first, second, third, fourth) if relative else (first, second, third - first, fourth - second)
    return Detection(score, box, relative)


def _names(paths: Sequence[str], files: Sequence[str], path: str, root: Path) -> dict[str, str]:
    """Return the name that the detector has for each image: both without the same numbers of leading folders.

    Chosen are the numbers by which most images are found, among those that leave names unique.
    """
    paths = list(dict.fromkeys(paths))
    best: dict[str, str] = {}
    tried = paths[:: max(1, len(paths) // _TRIED)]
    score = 0
    without = [_stripped(files, folders) for folders in range(_DEEP)]
    for ours, theirs in sorted(
        ((a, b) for a in range(_DEEP) for b in range(_DEEP)), key=lambda pair: (sum(pair), pair)
    ):
        if (known := without[theirs]) is None:
            continue
        hits = sum(_tail(one, ours) in known for one in tried)
        if hits > score and (mine := _stripped(paths, ours)) is not None:
            score, best = hits, {own: known[tail] for tail, own in mine.items() if tail in known}
        if score == len(tried):
            break
    if paths and not best:
        raise ReidflowError(
            f"{path}: none of its {len(files)} files, such as '{files[0] if files else ''}', is an image of the dataset {root}, such "
            f"as '{paths[0]}'. Correct 'dataset.detections.path', or run the detector on this folder."
        )
    return best


def _stripped(names: Sequence[str], folders: int) -> dict[str, str] | None:
    """Return name without its leading folders -> name; None where two names become one."""
    tails = {_tail(name, folders): name for name in names}
    return tails if len(tails) == len(names) else None


def _tail(name: str, folders: int) -> str:
    return "/".join(name.split("/")[folders:]) or name.rsplit("/", 1)[-1]


def _notes(counts: Counter[str], path: str, without: str) -> list[str]:
    then = "the whole photograph is used" if without == "keep" else "they are quarantined"
    texts = {
        "none": f"in {counts['none']} images the detector found nothing: {then}",
        "unknown": f"{counts['unknown']} images are not in {path}: {then}",
        "several": f"in {counts['several']} images the detector found several animals: the most confident one is used",
    }
    return [f"{text[0].upper()}{text[1:]}." for key, text in texts.items() if counts[key]]
