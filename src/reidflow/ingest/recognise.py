"""The source of a folder or table of images as its owner has laid it out, recognised by names alone."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from reidflow.ingest.labels import nobodies
from reidflow.ingest.listing import Listing, Reading, Row, reread, settle
from reidflow.ingest.rawdigest import Tree, walk
from reidflow.ingest.sources import _table
from reidflow.ingest.sources._folders import named
from reidflow.ingest.sources._sniff import IMAGE_SUFFIXES, counts_as_image
from reidflow.ingest.times import order_of, readable
from reidflow.spec.components import call
from reidflow.spec.errors import ReidflowError

TABLES = (".csv", ".tsv", ".parquet")
# Names of columns by what they hold, the likeliest first; blanks, hyphens and capitals do not count.
COLUMNS = {
    "image": ("path", "image", "filename", "file", "file_name", "image_path", "filepath", "file_path", "image_name", "img"),
    "identity": ("identity", "ground_truth", "individual", "individual_id", "animal", "animal_id", "person", "person_id", "name",
                 "label", "subject", "pid", "class", "id"),
    "mask": ("mask", "mask_path", "mask_file"),
    "group": ("group", "sighting", "encounter", "encounter_id", "burst", "sequence", "sequence_id", "event", "sighting_id"),
    "flank": ("flank", "viewpoint", "orientation", "view"),
    "time": ("time", "datetime", "timestamp", "date", "date_time", "captured"),
    "side": ("side",),
}  # fmt: skip
UNUSED = {
    "bbox": "cut the images out first",
    "segmentation": "draw its masks into files, and name these in a column 'mask'",
}
MASKS = re.compile(r"(mask|mk|seg|alpha)", re.IGNORECASE)
SIDES = {
    "query": ("query", "queries", "probe", "probes"),
    "gallery": ("gallery", "galleries", "reference", "references", "database"),
    "train": ("train", "training", "labelled", "labeled"),
}
ROLES = {"train", "training", "val", "valid", "validation", "test", "testing"}
TRIED = 50  # rows of a table whose files are looked for
FACES = 20  # images of a person, as in the usual subset of LFW
# Where a file's name ends to be that of the individual: before a number at its end, before the first '_', '-' or blank.
NAMES = {
    "the number at the end": re.compile(r"^(.*?[^\d_\-. ])[_\-. ]*\d+$"),
    "the first '_'": re.compile(r"^([^_]+)_.+$"),
    "the first '-'": re.compile(r"^([^-]+)-.+$"),
    "the first blank": re.compile(r"^(\S+) .+$"),
}


@dataclass
class Recognised:
    """How a data set is laid out.

    kind: for people. source: the component with the parameters that fit. listing: the data set as this source lists it.
    keys: further keys of `dataset` that say how its labels and times are to be read.
    notes: what its owner should know. table: path of an image relative to the folder -> identity read off its name,
    where a table with these has to be written before the source can be used.
    """

    kind: str
    source: dict[str, Any]
    listing: Listing
    notes: list[str] = field(default_factory=list)
    table: dict[str, str] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = Counter(row.identity for row in self.listing.candidates if row.identity)
        entries = nobodies(counts)
        self.keys |= {"unlabelled": entries} if entries else {}
        if self.listing.tree.outside:
            self.keys["links"] = "follow"
            link, target = min(self.listing.tree.outside.items())
            self.notes.append(f"links that lead out of the folder are followed, e.g. '{link}' to {target}")
        self.listing = reread(self.listing, Reading(**self.keys))
        self.notes += [note.rstrip(".") for note in self.listing.notes]


def recognise(given: str, images: str | None = None) -> Recognised:
    """Return how the folder or table `given` is laid out. images: folder to which a table's file names are relative.

    Files are listed, none is decoded. Raises ReidflowError that says what to do where nothing can be made of it.
    """
    path = Path(given).expanduser()
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:
        raise ReidflowError(f"{given}: cannot be accessed ({error.strerror}). Correct the path.") from error
    if is_file and path.name == "train.csv" and _is_jaguar(path.parent):
        return _jaguar(given.removesuffix("train.csv").rstrip("/") or ".")
    if is_file:
        return _of_table(given, images)
    if not is_folder:
        raise ReidflowError(f"{given}: no such file or folder (looked from {Path.cwd()}). Correct the path.")
    if (path / "lfw_home" / "lfw_funneled").is_dir():
        return _lfw(given)
    if _is_jaguar(path):
        return _jaguar(given)
    return _of_folder(given, images)


def _opened(
    kind: str, source: dict[str, Any], notes: Iterable[str] = (), keys: dict[str, Any] | None = None
) -> Recognised:
    return Recognised(kind, source, call("source", source), list(notes), keys=keys or {})


def _lfw(given: str) -> Recognised:
    people = Path(given).expanduser() / "lfw_home" / "lfw_funneled"
    counts = Counter(name.split("/")[0] for name in walk(people).files if "/" in name)
    enough = sorted(counts.values(), reverse=True)[:2][-1] if counts else 0
    source = {"name": "lfw", "path": given, "faces": min(FACES, max(enough, 1))}
    return _opened("Labeled Faces in the Wild, as scikit-learn fetches it", source)


def _is_jaguar(folder: Path) -> bool:
    table = folder / "train.csv"
    return table.is_file() and (folder / "train").is_dir() and {"filename", "ground_truth"} <= set(_header(table))


def _header(path: Path) -> list[str]:
    try:
        return list(_table.read(path).columns)
    except ReidflowError:
        return []


def _jaguar(given: str) -> Recognised:
    folder = Path(given).expanduser()
    source: dict[str, Any] = {"name": "jaguar", "path": given}
    for path in sorted(folder.iterdir()):
        if path.suffix in TABLES and path.name not in ("train.csv", "test.csv", "sample_submission.csv"):
            found = _table.read(path) if "filename" in _header(path) else None
            columns = _guessed(found, ("group", "flank", "time")) if found else {}
            if columns:
                source |= {"metadata": path.name, **columns}
                break
    return _opened("the layout of the jaguar competition", source)


def _of_table(given: str, images: str | None) -> Recognised:
    """Return the source of a CSV or Parquet file."""
    table = _table.read(Path(given).expanduser())
    columns = _guessed(table, tuple(COLUMNS))
    missing = [what for what in ("image", "identity") if what not in columns]
    if missing:
        raise ReidflowError(
            f"{given}: no column is named as one with the {' or the '.join(missing)} of a row usually is. Its columns are "
            f"{', '.join(table.columns)}. Rename them to path and identity, or write the config by hand (docs/your-images.md)."
        )
    source: dict[str, Any] = {"name": "table", "path": given}
    images = images or _images_of(table, columns["image"], given)
    source |= {"images": images} if images else {}
    defaults = {"image": "path", "identity": "identity"}
    source |= {key: name for key, name in columns.items() if defaults.get(key) != name}
    notes = [
        f"the column '{name}' is not used: {UNUSED[name.lower()]}" for name in table.columns if name.lower() in UNUSED
    ]
    dates = order_of([value for value in table.optional(columns.get("time")) if value])
    return _opened("a table with a row per image", source, notes, {"dates": dates} if dates != "iso" else {})


def _guessed(table: _table.Table, wanted: Sequence[str]) -> dict[str, str]:
    """Return what columns hold, by their names and, where the names leave a doubt, by their values."""
    by_name = {re.sub(r"[\s-]+", "_", name.strip().lower()): name for name in table.columns if name not in table.odd}
    found = {}
    for what in wanted:
        name = next((by_name[n] for n in COLUMNS[what] if n in by_name and by_name[n] not in found.values()), None)
        if name is not None and _fits(
            what, [value.strip() for value in table.columns[name] if value and value.strip()]
        ):
            found[what] = name
    return found


def _fits(what: str, values: list[str]) -> bool:
    if what == "time":
        return readable(values)
    if what == "side":
        return bool(values) and {value.lower() for value in values} <= {"query", "gallery"}
    if what == "mask":
        return bool(values) and PurePosixPath(values[0]).suffix.lower() in IMAGE_SUFFIXES
    return bool(values)


def _images_of(table: _table.Table, column: str, given: str) -> str | None:
    """Return the folder to which the file names of a table are relative; None where it is the table's own."""
    names = [name.strip() for name in table.column(column) if name and name.strip()][:TRIED]
    own = PurePosixPath(given).parent
    real = Path(own).expanduser()
    if names and all(name.startswith("/") for name in names):
        return os.path.commonpath([os.path.dirname(name) for name in names])  # noqa: PTH120
    folders = sorted(path.name for path in real.iterdir() if path.is_dir() and not path.name.startswith("."))
    for below in ["", *folders, ".."]:
        if names and 2 * sum((real / below / name).is_file() for name in names) > len(names):
            return str(own / below) if below else None
    raise ReidflowError(
        f"{given}: the files in its column '{column}', such as '{names[0] if names else ''}', are neither beside it nor in one of "
        "the folders there. Name their folder with --images."
    )


def _of_folder(given: str, images: str | None) -> Recognised:
    """Return the source of a folder of images."""
    root = Path(given).expanduser()
    tree = walk(root)
    found = sorted(name for name in named(tree) if counts_as_image(root / name))
    tables = [name for name in sorted(tree.files) if "/" not in name and PurePosixPath(name).suffix in TABLES]
    for name in tables:
        if {"image", "identity"} <= _guessed(_table.read(root / name), ("image", "identity")).keys() and found:
            return _of_table(f"{given.rstrip('/')}/{name}", images)
    if not found:
        what = f"none of its {len(tree.files)} files is an image" if tree.files else "it is empty"
        raise ReidflowError(f"{given}: {what}. Name the folder that holds the images.")
    tops = {name.split("/")[0] for name in found if "/" in name}
    sides = {side: next((top for top in sorted(tops) if top.lower() in names), None) for side, names in SIDES.items()}
    if sides["query"] and sides["gallery"]:
        return _two_sides(given, found, sides)
    return _identities(given, found, tree)


def _two_sides(given: str, found: list[str], sides: dict[str, str | None]) -> Recognised:
    people = {
        side: {name.split("/")[1] for name in found if name.startswith(f"{top}/") and name.count("/") > 1}
        for side, top in sides.items()
    }
    labelled = bool(people["query"] & people["gallery"])
    if not labelled and not people["train"]:
        raise ReidflowError(
            f"{given}: query images and gallery, and no folder 'train' with a folder per individual, so nothing can be learned or "
            "scored. Add one; or embed and search them by a run on other images: reidflow index and reidflow retrieve."
        )
    source = {
        "name": "query_gallery",
        "path": given,
        "train": sides["train"],
        "query": sides["query"],
        "gallery": sides["gallery"],
    }
    return _opened("a folder of queries, one of the gallery", {**source, "labelled": labelled})


def _identities(given: str, found: list[str], tree: Tree) -> Recognised:
    """Return the source of images in a folder per identity, or directly in one folder."""
    masks = _masks(found)
    rest = [name for name in found if masks is None or not name.startswith(f"{masks}/")]
    base = ""
    while rest and len(tops := {_below(name, base).split("/")[0] for name in rest}) == 1:
        inner = base + tops.pop() + "/"
        if not all(name.startswith(inner) and "/" in _below(name, inner) for name in rest):
            break
        base = inner
    below = [_below(name, base) for name in rest]
    tops = {name.split("/")[0] for name in below if "/" in name}
    if tops and tops <= ROLES and any(name.count("/") > 1 for name in below):
        raise ReidflowError(
            f"{given}: split into {' and '.join(sorted(tops))} already, and reidflow splits by itself. Give it one of these folders, "
            "or put the individuals of all of them into one folder."
        )
    if not tops or (len(tops) == 1 and not any(name.count("/") > 1 for name in below)):
        top = base + (next(iter(tops)) + "/" if tops and all("/" in name for name in below) else "")
        return _by_name(given, top, rest, tree)
    source: dict[str, Any] = {"name": "folder", "path": given}
    source |= {"images": base.rstrip("/")} if base else {}
    source |= {"masks": masks} if masks else {}
    grouped = sum(name.count("/") > 1 for name in below)
    source |= {"groups": True} if 2 * grouped > len(below) else {}
    loose = sum("/" not in name for name in below)
    notes = [f"{loose} images lie in no individual's folder and are left out"] if loose else []
    return _opened(
        "a folder per individual" + (", with a folder per group in it" if source.get("groups") else ""), source, notes
    )


def _masks(found: list[str]) -> str | None:
    """Return the folder that holds a mask for each image of another one, under the same name; None where none does."""
    stems: dict[str, set[str]] = {}
    for name in found:
        top, _, rest = name.partition("/")
        if rest:
            stems.setdefault(top, set()).add(PurePosixPath(rest).with_suffix("").as_posix())
    for top in sorted(filter(MASKS.match, stems)):
        others = {PurePosixPath(name).with_suffix("").as_posix() for name in found if not name.startswith(f"{top}/")}
        others |= set().union(*(some for other, some in stems.items() if other != top))
        if len(stems) > 1 and len(stems[top] & others) * 2 > len(stems[top]):
            return top
    return None


def _below(name: str, base: str) -> str:
    return name.removeprefix(base)


def _by_name(given: str, base: str, found: list[str], tree: Tree) -> Recognised:
    """Return the source of images that lie in one folder, where their names hold the identity."""
    stems = {name: PurePosixPath(name).stem for name in found}
    for where, pattern in NAMES.items():
        identities = {name: match[1] for name, stem in stems.items() if (match := pattern.match(stem))}
        counts = Counter(identities.values())
        several = sum(count for count in counts.values() if count > 1)
        if len(identities) == len(found) and len(counts) > 1 and several > 0.8 * len(found):
            some = ", ".join(
                f"{PurePosixPath(name).name}: {identities[name]}"
                for name in list(identities)[:: max(1, len(found) // 2)][:2]
            )
            note = f"individuals were read off the file names, up to {where} ({some}): check them in the table"
            listing = settle(tree, [Row(name, identity) for name, identity in identities.items()])
            return Recognised(
                "images in one folder, named after the individual",
                {"name": "table", "path": "", "images": given},
                listing,
                [note],
                identities,
            )
    folder = f"{given.rstrip('/')}/{base}".rstrip("/")
    raise ReidflowError(
        f"{folder}: its {len(found)} images lie directly in one folder, and their names do not show whom they are of. Put them into a "
        "folder per individual, or write a table with the columns path and identity, a row per image, and give its name. "
        "If all of them show one individual, name the folder that holds the folders of all."
    )
