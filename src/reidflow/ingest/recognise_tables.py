"""The source of a table or an annotation file, recognised by its columns and keys."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from reidflow.ingest.boxes import parse_column
from reidflow.ingest.listing import ROLES, SIDES
from reidflow.ingest.lookup import Files
from reidflow.ingest.rawdigest import Tree, walk
from reidflow.ingest.segmentation import looks_like
from reidflow.ingest.sources import _json, _table, coco, wildlife_datasets
from reidflow.ingest.sources._sniff import IMAGE_SUFFIXES
from reidflow.ingest.times import order_of, readable
from reidflow.spec.errors import ReidflowError

# Names of columns by what they hold, the likeliest first; blanks, hyphens and capitals do not count.
COLUMNS = {
    "image": ("path", "image", "filename", "file", "file_name", "image_path", "filepath", "file_path", "image_name", "img"),
    "identity": ("identity", "ground_truth", "individual", "individual_id", "animal", "animal_id", "person", "person_id", "name",
                 "label", "subject", "pid", "class", "id"),
    "mask": ("mask", "mask_path", "mask_file"),
    "group": ("group", "sighting", "encounter", "encounter_id", "burst", "sequence", "sequence_id", "seq_id", "event", "sighting_id"),
    "flank": ("flank", "viewpoint", "orientation", "view", "position", "side"),
    "time": ("time", "datetime", "timestamp", "date", "date_time", "captured"),
    "side": ("side",),
    "camera": ("camera", "camera_id", "cam", "cam_id", "camid", "trap_id", "trap"),
    "site": ("site", "location", "location_id", "station", "station_id", "place", "locality"),
    "role": ("role", "split", "set", "subset", "partition"),
    "query": ("is_query",),
    "gallery": ("is_gallery",),
    "segmentation": ("segmentation", "polygon", "rle", "mask"),
}  # fmt: skip
BOX = ("bbox", "box", "bounding_box")
BOXES = (("bbox_x", "bbox_y", "bbox_width", "bbox_height"), ("bbox_x", "bbox_y", "bbox_w", "bbox_h"),
         ("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height"))  # fmt: skip
CORNERS = (("x1", "y1", "x2", "y2"), ("x_1", "y_1", "x_2", "y_2"), ("xmin", "ymin", "xmax", "ymax"),
           ("x_min", "y_min", "x_max", "y_max"), ("left", "top", "right", "bottom"))  # fmt: skip
SPLIT = {word for words in ROLES.values() for word in words}
SIDE_WORDS = {word for words in SIDES.values() for word in words}
TRIED = 50  # rows of a table whose files are looked for
LARGEST = 500_000_000  # bytes of an annotation file that is looked into
MOST = 20  # JSON files of a folder that are looked into

Guess = tuple[str, dict[str, Any], dict[str, Any]]
"""What a file is, for people; its source with the parameters that fit; keys of `dataset` that say how it is read."""


def of_table(given: str, images: str | None) -> Guess:
    """Return the source of a CSV or Parquet file. images: the folder of its files, where the user names it.

    Raises ReidflowError where no column is named like those of file names and identities, and where no file is found.
    """
    table = _table.read(Path(given).expanduser())
    if "Encounter.mediaAsset0" in table.columns:
        source = {"name": "wildbook", "path": given}
        return "a table of Wildbook", _with_images(source, table, "Encounter.mediaAsset0", images), {}
    if {"image_id", "identity", "path"} <= table.columns.keys():
        source = _with_images({"name": "wildlife_datasets", "path": given}, table, "path", images)
        return (
            "a table of wildlife-datasets",
            source,
            _dates(table, next(filter(table.columns.get, wildlife_datasets.COLUMNS["time"]), None)),
        )
    columns = guessed(table, tuple(COLUMNS))
    missing = [what for what in ("image", "identity") if what not in columns]
    if missing:
        raise ReidflowError(
            f"{given}: no column is named as one with the {' or the '.join(missing)} of a row usually is. Its columns are "
            f"{', '.join(table.columns)}. Rename them to path and identity, or write the config by hand (docs/your-images.md)."
        )
    source = _with_images({"name": "table", "path": given}, table, columns["image"], images)
    defaults = {"image": "path", "identity": "identity"}
    source |= {key: name for key, name in columns.items() if defaults.get(key) != name}
    source |= _boxes(table, given)
    return "a table with a row per image", source, _dates(table, columns.get("time"))


def _dates(table: _table.Table, column: str | None) -> dict[str, Any]:
    dates = order_of([value for value in table.optional(column) if value])
    return {"dates": dates} if dates != "iso" else {}


def guessed(table: _table.Table, wanted: Sequence[str]) -> dict[str, str]:
    """Return what columns hold, by their names and, where the names leave a doubt, by their values."""
    by_name = _by_name(table)
    found: dict[str, str] = {}
    for what in wanted:
        free = (by_name[n] for n in COLUMNS[what] if n in by_name and by_name[n] not in found.values())
        free = list(free)
        name = next((n for n in free if _fits(what, table, n)), None)
        if what == "time" and name is None:
            # Kept, so that the listing names what reads them.
            name = next((n for n in free if any(re.search(r"\d", v or "") for v in table.columns.get(n, ()))), None)
        if name is not None:
            found[what] = name
    if ("query" in found) != ("gallery" in found) or "side" in found:
        found = {what: name for what, name in found.items() if what not in ("query", "gallery")}
    return found


def of_json(given: str, images: str | None) -> Guess:
    """Return the source of a COCO file. Raises ReidflowError for another file, and where its images are not found."""
    path = Path(given).expanduser()
    try:
        content, _ = _json.read(path, "a COCO file, or detections of MegaDetector")
    except ReidflowError:
        _table.read(path)
        raise
    if isinstance(content, list):
        _table.read(path)
    if is_detections(content):
        raise ReidflowError(
            f"{given}: detections of MegaDetector name no individual. Put the file into the folder of the photographs, and "
            "name that folder: reidflow init FOLDER."
        )
    if not coco.has_identities(content):
        raise ReidflowError(
            f"{given}: neither a COCO file whose annotations have an identity (name, individual_id, identity) nor a table. Where it has "
            "them by another key, write the config by hand: config/datasets/coco.yaml."
        )
    return _of_coco(given, content, images)


def annotations(
    given: str, tree: Tree, images: str | None, unused: list[ReidflowError]
) -> tuple[Guess | None, str | None]:
    """Return the source of the COCO file in a folder, and the name of the file of detections; None where there is none.

    images: the folder of its images, where the user names it. unused: gains why COCO files are not the folder's.
    """
    guess, detected = None, None
    found = [name for name in sorted(tree.files) if name.lower().endswith(".json") and name.count("/") <= 2]
    # Many are a file per image.
    for name in found if len(found) <= MOST else []:
        stat = tree.files[name]
        if stat is None or stat[0] > LARGEST:
            continue
        try:
            content, _ = _json.read(tree.root / name, "")
        except ReidflowError:
            continue
        if detected is None and is_detections(content):
            detected = name
        elif guess is None and coco.has_identities(content):
            try:
                guess = _of_coco(f"{given.rstrip('/')}/{name}", content, images, tree)
            except ReidflowError as error:
                unused.append(error)
    return guess, detected


def is_detections(content: Any) -> bool:
    """Return whether the content of a JSON file has the form of MegaDetector's."""
    images = content.get("images") if isinstance(content, dict) else content
    return isinstance(images, list) and any(
        isinstance(one, dict) and {"file", "detections"} <= one.keys() for one in images
    )


def _of_coco(given: str, content: dict, images: str | None, tree: Tree | None = None) -> Guess:
    own = PurePosixPath(given).parent
    names = [str(one["file_name"]) for one in content["images"] if isinstance(one, dict) and one.get("file_name")]
    some = names[:: max(1, len(names) // TRIED)]
    strange = bool(images and tree is not None and 2 * _found(walk(Path(images).expanduser()), some) <= len(some))
    for folder in [] if images else dict.fromkeys([own, own.parent]):
        there = tree if tree is not None else walk(Path(folder).expanduser())
        top = str(folder) if tree is None else tree.root.as_posix()
        inner = _prefix(some, there)
        if inner is None and 2 * _found(there, some) > len(some):
            inner = ""
        if inner is not None:
            images = str(PurePosixPath(top) / inner)
            break
    if images is None or strange:
        raise ReidflowError(
            f"{given}: its images, such as '{names[0] if names else ''}', are not {f'in {images}' if strange else 'beside it'}. Name "
            "their folder with --images."
        )
    source = {"name": "coco", "path": given} | ({} if images == str(own) else {"images": images})
    return "a COCO file", source, {}


def _found(tree: Tree, names: Sequence[str]) -> int:
    """Return how many names mean a file of a tree: those of another machine, in other capitals or without suffix too."""
    files = Files(tree, names)
    return sum(not files.find(name).reason for name in names)


def _prefix(names: Sequence[str], tree: Tree) -> str | None:
    """Return the folder within a tree to which most of `names` are relative; None where it has too few of them."""
    where: Counter[str] = Counter()
    ends = {name.rsplit("/", 1)[-1]: name for name in names}
    for file in sorted(tree.files):
        name = ends.get(file.rsplit("/", 1)[-1])
        if name is not None and (file == name or file.endswith(f"/{name}")):
            where[file.removesuffix(name).rstrip("/")] += 1
    best = max(sorted(where), key=lambda folder: where[folder], default=None)
    return best if best is not None and 2 * where[best] > len(ends) else None


def _fits(what: str, table: _table.Table, name: str) -> bool:
    structured = what in ("segmentation", "bbox")
    texts = table.structured(name) if structured else table.columns.get(name, ())
    values = [text.strip() for text in texts if text and text.strip()]
    if not values:
        return False
    words = {value.lower() for value in values}
    if what == "time":
        return readable(values)
    if what in ("side", "flank"):
        return (words <= SIDE_WORDS) == (what == "side")
    if what == "mask":
        return PurePosixPath(values[0]).suffix.lower() in IMAGE_SUFFIXES
    if what == "role":
        return words <= SPLIT and len(words) > 1
    return looks_like(values[0]) if what == "segmentation" else True


def _boxes(table: _table.Table, given: str) -> dict[str, Any]:
    """Return the parameters that describe the boxes of a table; none where it has none that can be read."""
    by_name = _by_name(table)
    # The source takes a column bbox by itself.
    unused = {"bbox": None} if "bbox" in {*table.columns, *table.nested} else {}
    one = next((by_name[name] for name in BOX if name in by_name), None)
    names = next((names for names in (*BOXES, *CORNERS) if set(names) <= by_name.keys()), None)
    if one is None and names is None:
        return {}
    columns = [by_name[name] for name in names or ()]
    texts = (
        table.structured(one)
        if one
        else [",".join(v or "" for v in row) for row in zip(*map(table.column, columns), strict=True)]
    )
    corners = one is None and names in CORNERS
    try:
        boxes = parse_column([text if (text or "").strip(",") else None for text in texts], given, corners=corners)
    except ReidflowError:
        return unused
    known = [box for box in boxes if box is not None]
    if not known or any(min(box[2:]) <= 0 for box in known):
        return unused
    relative = all(max(box[0] + box[2], box[1] + box[3]) <= 1.01 for box in known)
    return {
        "bbox": one or columns,
        **({"corners": True} if corners else {}),
        **({"relative": True} if relative else {}),
    }


def _by_name(table: _table.Table) -> dict[str, str]:
    return {re.sub(r"[\s-]+", "_", name.strip().lower()): name for name in (*table.columns, *table.nested)}


def _with_images(source: dict[str, Any], table: _table.Table, column: str, images: str | None) -> dict[str, Any]:
    """Return a source with the folder of its images, where that is not the table's own."""
    images = images or _images_of(table, column, source["path"])
    return source | ({"images": images} if images else {})


def _images_of(table: _table.Table, column: str, given: str) -> str | None:
    """Return the folder to which the file names of a table are relative; None where it is the table's own."""
    names = [name.strip().replace("\\", "/") for name in table.column(column) if name and name.strip()][:TRIED]
    own = PurePosixPath(given).parent
    real = Path(own).expanduser()
    if names and all(name.startswith("/") for name in names):
        shared = os.path.commonpath([os.path.dirname(name) for name in names])  # noqa: PTH120
        if Path(shared).is_dir():
            return shared
    folders = sorted(path.name for path in real.iterdir() if path.is_dir() and not path.name.startswith("."))
    for below in ["", *folders]:
        if names and 2 * sum((real / below / name).is_file() for name in names) > len(names):
            return str(own / below) if below else None
    # Names of another machine, in other capitals or without suffix.
    for below in ["", *folders]:
        if names and 2 * _found(walk(real / below), names) > len(names):
            return str(own / below) if below else None
    if names and 2 * sum((real / ".." / name).is_file() for name in names) > len(names):
        return str(own / "..")
    detail = Files(walk(real), names).find(names[0]).detail if names else "it is blank"
    raise ReidflowError(
        f"{given}: the files in its column '{column}', such as '{names[0] if names else ''}', are neither beside it nor in one of "
        f"the folders there ({detail}). Correct the names, or name their folder with --images."
    )
