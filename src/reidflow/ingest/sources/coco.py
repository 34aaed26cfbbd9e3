"""Annotations in COCO's format (Lin et al., 2014), as Wildbook, LILA's camera traps, CVAT and others export them."""

import json
from pathlib import Path
from typing import Any

from reidflow.ingest.boxes import Box, parse_column
from reidflow.ingest.listing import Listing, Row, settle
from reidflow.ingest.rawdigest import dataset_paths, table_name, walk
from reidflow.ingest.segmentation import bounded
from reidflow.ingest.sources import _json
from reidflow.ingest.sources._roles import role_and_side
from reidflow.spec.errors import ReidflowError

KEYS = {
    "identity": ("identity", "name", "individual_id", "individual", "individual_name", "animal_id", "individual_uuid",
                 "individual_ids"),
    "group": ("encounter_id", "encounter", "seq_id", "sequence_id", "video_id"),
    "flank": ("viewpoint", "orientation", "position", "flank"),
    "time": ("datetime", "date_captured", "date", "timestamp"),
    "camera": ("camera", "camera_id"),
    "site": ("location", "location_id", "site"),
    "role": ("split",),
}  # fmt: skip
"""Keys of an annotation, of its `attributes`, or of its image, by what they hold, the likeliest first."""
NOBODY = frozenset({"____", "unknown"})
"""Labels by which Wildbook and the library of camera traps say that nobody is known."""
_AUTO = "auto"
_NEEDED = "a COCO file, with the lists images, annotations and categories"
_NEAR = 3.0  # pixels by which a segmentation that is nothing but the box may differ from it
_SHOWN = 12


def open_source(
    *,
    path: str,
    images: str | None = None,
    category: str | None = None,
    boxes: bool = True,
    masks: bool = True,
    identity: str = "auto",
    group: str | None = "auto",
    flank: str | None = "auto",
    time: str | None = "auto",
    camera: str | None = "auto",
    site: str | None = "auto",
    role: str | None = "auto",
) -> Listing:
    """List the annotations of the COCO file at `path`, an image for each.

    images: the folder to which its file names are relative; without it, the file's own.
    category: the name of the category to use, where there are several (head, body); None: all of them.
    boxes: whether images are cut to their `bbox`; where a photograph has several annotations, one without is cut to the bounds of its
    `segmentation`. masks: whether `segmentation` is the mask, where it is more than the box.
    identity, group, flank, time, camera, site, role: keys of an annotation (`attributes.tag`) or else of its image; `auto`
    takes the usual ones: name, identity, individual_id; encounter_id, seq_id; viewpoint; datetime, date_captured; camera;
    location; split. null: none. `identity: category` where each individual is a category of its own.
    Annotations without an identity, or with `unknown` or `____` (unless `dataset.unlabelled` keeps these), are unlabelled and
    have no role, as they may show known animals; crowds, and images without an annotation, are left out. Raises ReidflowError
    for a file of another form, and where no annotation has an identity.
    """
    root, extra = dataset_paths({"name": "coco", "path": path, "images": images})
    file = Path(path).expanduser()
    content, sha256 = _json.read(file, _NEEDED)
    photos, annotations, names = _parts(content, path)
    if category is not None:
        annotations = _of_category(annotations, names, category, path)
    annotations = [(number, one) for number, one in annotations if not one.get("iscrowd")]
    wanted = {"group": group, "flank": flank, "time": time, "camera": camera, "site": site, "role": role}
    labels = [_identity(one, photos[one["image_id"]], names, identity) for _, one in annotations]
    if not any(map(_is_somebody, labels)):
        raise _no_identity(annotations, identity, path)
    shapes = [_mask(one) for _, one in annotations]
    files = [str(photos[one["image_id"]]["file_name"]) for _, one in annotations]
    found = bounded(files, _boxes(annotations, path), shapes) if boxes else [None] * len(annotations)
    rows = []
    for (number, one), label, box, shape in zip(annotations, labels, found, shapes, strict=True):
        photo = photos[one["image_id"]]
        facts = {what: _fact(one, photo, what, key) for what, key in wanted.items()}
        rows.append(
            Row(
                str(photo["file_name"]),
                label,
                **role_and_side(facts.pop("role"), known=label is not None),
                box=box,
                segmentation=shape if masks else None,
                row=number,
                table=path,
                **facts,
            )
        )
    return settle(walk(root), rows, {table_name(file, root): sha256}, extra, nobody=NOBODY)


def _parts(content: Any, path: str) -> tuple[dict[Any, dict], list[tuple[int, dict]], dict[Any, str]]:
    """Return the images by id, the numbered annotations, and the names of categories by id."""
    lists = {key: content.get(key) if isinstance(content, dict) else None for key in ("images", "annotations")}
    missing = [key for key, value in lists.items() if not isinstance(value, list)]
    if missing:
        hint = " Detections of MegaDetector go into 'dataset.detections'." if _of_detector(content) else ""
        raise ReidflowError(f"{path}: there is no list '{missing[0]}', so it is not {_NEEDED}.{hint} Correct 'path'.")
    photos = {key: one for one in lists["images"] if (key := _id(one, "id")) is not None and one.get("file_name")}
    numbered = list(enumerate(lists["annotations"], 1))
    lost = [number for number, one in numbered if _id(one, "image_id") not in photos]
    if lost:
        raise ReidflowError(
            f"{path}: {len(lost)} of {len(numbered)} annotations belong to no image with a file name, such as number "
            f"{lost[0]}. Export the file again, with all of its images."
        )
    categories = content.get("categories")
    named = [one for one in categories if isinstance(one, dict)] if isinstance(categories, list) else []
    return photos, numbered, {_id(one, "id"): str(one.get("name")) for one in named}


def _id(one: Any, key: str) -> int | float | str | None:
    """Return what an entry has under the key of an id; None where it is of another form."""
    value = one.get(key) if isinstance(one, dict) else None
    return value if isinstance(value, int | float | str) else None


def _of_detector(content: Any) -> bool:
    images = content.get("images") if isinstance(content, dict) else content
    return isinstance(images, list) and any(isinstance(one, dict) and "detections" in one for one in images)


def _of_category(
    annotations: list[tuple[int, dict]], names: dict[Any, str], wanted: str, path: str
) -> list[tuple[int, dict]]:
    chosen = [(number, one) for number, one in annotations if names.get(_id(one, "category_id")) == wanted]
    if not chosen:
        raise ReidflowError(
            f"{path}: no annotation is of the category '{wanted}'. The categories are {', '.join(names.values()) or 'none'}."
        )
    return chosen


def _identity(one: dict, photo: dict, names: dict[Any, str], key: str) -> str | None:
    """Return the label of an annotation; None where it has none."""
    return names.get(_id(one, "category_id")) if key == "category" else _fact(one, photo, "identity", key)


def _is_somebody(label: str | None) -> bool:
    return label is not None and label.lower() not in NOBODY


def _fact(one: dict, photo: dict, what: str, key: str | None) -> str | None:
    keys = KEYS[what] if key == _AUTO else () if key is None else (key,)
    places = (one, _attributes(one), photo)
    texts = (_json.as_text(_json.look_up(place, key)) for place in places for key in keys)
    return next((text for text in texts if text is not None), None)


def _attributes(one: dict) -> dict:
    return found if isinstance(found := one.get("attributes"), dict) else {}


def _no_identity(annotations: list[tuple[int, dict]], key: str, path: str) -> ReidflowError:
    known = dict.fromkeys(name for _, one in annotations for name in one)
    known |= {f"attributes.{name}": None for _, one in annotations for name in _attributes(one)}
    named = "none of the usual keys" if key == _AUTO else f"no key '{key}'"
    return ReidflowError(
        f"{path}: {named} of its {len(annotations)} annotations, or of their images, holds an identity. The keys of "
        f"annotations are {', '.join(list(known)[:_SHOWN]) or 'none'}. Name one as 'identity', or write 'category' where "
        "each individual is a category."
    )


def _boxes(annotations: list[tuple[int, dict]], path: str) -> list[Box | None]:
    texts = [json.dumps(one["bbox"]) if one.get("bbox") else None for _, one in annotations]
    return parse_column(texts, f"{path}, 'bbox' of the annotations")


def _mask(one: dict) -> str | None:
    """Return the segmentation as JSON; None where there is none, or it is the box and no outline of an animal."""
    shape = one.get("segmentation")
    if not shape or (isinstance(shape, list) and len(shape) == 1 and is_box(shape[0], one.get("bbox"))):
        return None
    return json.dumps(shape)


def is_box(polygon: Any, box: Any) -> bool:
    """Return whether a polygon (x, y, x, y, ...) has its points at the corners of a box and nowhere else."""
    try:
        points = list(zip(polygon[::2], polygon[1::2], strict=True))
        left, top, width, height = (float(value) for value in box)
        corners = [(left + a * width, top + b * height) for a in (0, 1) for b in (0, 1)]
        nearest = [min(corners, key=lambda c: abs(c[0] - x) + abs(c[1] - y)) for x, y in points]
        near = all(max(abs(c[0] - x), abs(c[1] - y)) <= _NEAR for c, (x, y) in zip(nearest, points, strict=True))
    except (TypeError, ValueError):
        return False
    return near and len(points) <= 5 and len(set(nearest)) == 4


def has_identities(content: Any) -> bool:
    """Return whether the content of a JSON file is a COCO file with an identity by one of the usual keys."""
    try:
        photos, annotations, names = _parts(content, "")
    except ReidflowError:
        return False
    return any(_is_somebody(_identity(one, photos[one["image_id"]], names, _AUTO)) for _, one in annotations)
