"""The metadata table of the library wildlife-datasets (Čermák et al., 2024), as its `df` is exported to CSV or Parquet."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from reidflow.ingest.boxes import BLANK, Box, parse_column
from reidflow.ingest.listing import ROLES, Listing, Row, settle
from reidflow.ingest.rawdigest import dataset_paths, table_name, walk
from reidflow.ingest.segmentation import bounds, is_drawn
from reidflow.ingest.sources import _table
from reidflow.ingest.sources._roles import role_and_side
from reidflow.spec.errors import ReidflowError

UNKNOWN = "unknown"
"""The library's name of an animal that is not identified."""
COLUMNS = {
    "group": ("group", "encounter", "encounter_id", "sighting", "sequence", "observation_id", "burst", "video"),
    "flank": ("orientation", "position", "viewpoint", "flank"),
    "time": ("date", "datetime", "timestamp", "time"),
    "camera": ("camera", "camera_id", "trap_id"),
    "site": ("location", "site", "place", "territory"),
    "role": ("split", "original_split", "split_original"),
}
"""Names that the library's data sets give to what it does not name itself, the likeliest first."""
_AUTO = "auto"


def open_source(
    *,
    path: str,
    images: str | None = None,
    image: str = "path",
    identity: str = "identity",
    boxes: bool = True,
    masks: bool = True,
    group: str | None = "auto",
    flank: str | None = "auto",
    time: str | None = "auto",
    camera: str | None = "auto",
    site: str | None = "auto",
    role: str | None = "auto",
) -> Listing:
    """List the entries of the table at `path`: `dataset.df.to_csv("metadata.csv")`, or `to_parquet`.

    The library itself is not needed. images: the `root` of the set, to which paths are relative; without it, the table's
    folder. image, identity: the library's `col_path` and `col_label`.
    boxes: whether each entry is cut to its `bbox`, or where there is none to the bounds of its `segmentation`. masks: whether
    `segmentation` is the mask: a polygon, run lengths or the path of an image.
    group, flank, time, camera, site, role: columns; `auto` takes those that the library's sets have (encounter, video;
    orientation, position; date; camera, trap_id; location; split, original_split), null none. A split of train, val and test
    is used with `split: {name: column}`; query and database (or gallery) become the sides of test.
    `unknown` (unless `dataset.unlabelled` keeps it) and blank identities are unlabelled and have no role: they may show
    animals that are known. Raises ReidflowError for an unknown column or a damaged table.
    """
    root, extra = dataset_paths({"name": "wildlife_datasets", "path": path, "images": images})
    file = Path(path).expanduser()
    table = _table.read(file)
    files = table.column(image)
    if not files:
        raise ReidflowError(f"{path}: the table has no rows. It needs one per entry.")
    if all(_blank(name) for name in files):
        raise ReidflowError(
            f"{path}: the column '{image}' is blank throughout, as in sets that the library reads from the cache of "
            "Hugging Face. Save their images as files, and write their names into this column."
        )
    given = {"group": group, "flank": flank, "time": time, "camera": camera, "site": site, "role": role}
    facts = {what: _column(table, what, name) for what, name in given.items()}
    shapes = _segmentations(table, path) if masks or boxes else [None] * len(table)
    found = _boxes(table, path, shapes) if boxes else [None] * len(table)
    labels = [None if (label or "").strip().lower() in BLANK else label for label in table.column(identity)]
    rows = [
        Row(
            files[i] or "",
            label,
            mask=shape if masks and not is_drawn(shape) else None,
            box=found[i],
            segmentation=shape if masks and is_drawn(shape) else None,
            row=i + 1,
            table=path,
            **role_and_side(facts["role"][i], known=label is not None),
            **{what: facts[what][i] for what in ("group", "flank", "time", "camera", "site")},
        )
        for i, (label, shape) in enumerate(zip(labels, shapes, strict=True))
    ]
    return settle(walk(root), rows, {table_name(file, root): table.sha256}, extra, nobody=frozenset({UNKNOWN}))


def _column(table: _table.Table, what: str, name: str | None) -> Sequence[str | None]:
    """Return the values of a column without pandas' ways to write that there is none."""
    if name == _AUTO:
        name = next((one for one in COLUMNS[what] if one in table.columns), None)
        if what == "role" and name is not None and not _divides(table.columns[name]):
            name = None
    return [None if _blank(value) else value for value in table.optional(name)]


def _blank(text: str | None) -> bool:
    return (text or "").strip().lower() in {*BLANK, "nat", "-1"}


def _divides(values: Iterable[str | None]) -> bool:
    """Return whether a column divides the entries into roles, training among them."""
    known = {name: role for role, names in ROLES.items() for name in names}
    roles = {known.get(role_and_side(value)["role"].lower(), "") for value in values if not _blank(value)}
    return "train" in roles and "" not in roles


def _segmentations(table: _table.Table, path: str) -> list[str | None]:
    """Return masks as JSON, as Python prints them or as paths; None for a blank."""
    if "segmentation" not in table.columns and "segmentation" not in table.nested:
        return [None] * len(table)
    texts = [None if _blank(text) else str(text).strip() for text in table.structured("segmentation")]
    cut = [number for number, text in enumerate(texts, 1) if text and text.startswith("[") and "..." in text]
    if cut:
        raise ReidflowError(
            f"{path}: {len(cut)} of {len(texts)} segmentations are cut short ('...'), such as that in row {cut[0]}: pandas "
            "writes long arrays like this. Export the table as Parquet, or with the arrays as lists (`.apply(list)`); or set "
            "'masks' and 'boxes' to false."
        )
    return texts


def _boxes(table: _table.Table, path: str, shapes: Sequence[str | None]) -> list[Box | None]:
    given: list[Box | None] = [None] * len(table)
    if "bbox" in table.columns or "bbox" in table.nested:
        given = parse_column(table.structured("bbox"), f"{path}, column 'bbox'")
    return [box or bounds(shape) for box, shape in zip(given, shapes, strict=True)]
