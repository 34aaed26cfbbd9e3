"""The source of a folder or table of images as its owner has laid it out, recognised by names alone."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from reidflow.ingest.detections import boxed
from reidflow.ingest.labels import nobodies
from reidflow.ingest.listing import ROLES, SIDES, Listing, Reading, Row, reread, settle
from reidflow.ingest.rawdigest import TABLE_SUFFIXES, Tree, near_path, walk
from reidflow.ingest.recognise_tables import SPLIT, Guess, annotations, guessed, of_json, of_table
from reidflow.ingest.sources import _table
from reidflow.ingest.sources._folders import marked_beside, named, unmarked
from reidflow.ingest.sources._pattern import Pattern
from reidflow.ingest.sources._sniff import counts_as_image
from reidflow.spec.components import call, parameters
from reidflow.spec.config import Detections
from reidflow.spec.errors import ReidflowError

MASKS = re.compile(r"(?:.*[\W\d_])?(masks?|mk|seg(mentations?)?|alpha)([\W\d_].*)?", re.IGNORECASE)
PHOTOS = re.compile(r".*(image|img|photo|picture|rgb|colou?r|jpe?g|png|orig|raw).*", re.IGNORECASE)
FOLDERS = SIDES | {"train": (*ROLES["train"], "labelled", "labeled")}
# Folders that hold those of individuals: places and years.
PLACES = re.compile(
    r"((site|station|camera|cam|trap|location|loc|park|reserve|area|zone|region|plot|block|island|farm|herd|colony|year|season)"
    r"[\W_]*\w{0,12}|(19|20)\d\d([-_ ]\d\d)?|north|south|east|west)",
    re.IGNORECASE,
)
MARKET = (
    {},
    {"train": "image_train", "gallery": "image_test", "query": "image_query"},
)
"""Parameters of the folders of Market-1501 and its kin, and of VeRi-776."""
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
        labels = (row.identity for row in self.listing.candidates if row.identity)
        counts = Counter(label for label in labels if label.strip().lower() not in self.listing.nobody)
        entries = nobodies(counts)
        if entries:
            self.keys["unlabelled"] = entries
            names = ", ".join(map(repr, entries))
            self.notes.append(
                f"labels taken to mean that nobody knows: {names}; remove those of individuals from 'unlabelled'"
            )
        if self.listing.tree.outside:
            self.keys["links"] = "follow"
            link, target = min(self.listing.tree.outside.items())
            self.notes.append(f"links that lead out of the folder are followed, e.g. '{link}' to {target}")
        self.listing = reread(self.listing, Reading(**self.keys))
        self.notes += [note.rstrip(".") for note in self.listing.notes]

    def detect(self, path: str) -> None:
        """Cut the images to the detections in a file of MegaDetector."""
        given = Detections(path=path)
        before = len(self.listing.notes)
        self.listing = boxed(self.listing, **given.model_dump())
        self.keys |= {"detections": {"path": path, "confidence": given.confidence}}
        self.notes += [note.rstrip(".") for note in self.listing.notes[before:]]


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
        return _guess(of_json(given, images) if path.suffix.lower() == ".json" else of_table(given, images))
    if not is_folder:
        near = near_path(path)
        hint = f" Did you mean '{near}'?" if near else ""
        raise ReidflowError(f"{given}: no such file or folder (looked from {Path.cwd()}).{hint} Correct the path.")
    if (path / "lfw_home" / "lfw_funneled").is_dir():
        return _lfw(given)
    if _is_jaguar(path):
        return _jaguar(given)
    tree = walk(path)
    unused: list[ReidflowError] = []
    guess, detected = annotations(given, tree, images, unused)
    try:
        recognised = _guess(guess) if guess else _of_folder(given, images, tree, unused)
    except ReidflowError as error:
        raise ReidflowError(" ".join([str(error), *_not_used(unused)])) from error
    recognised.notes += [note.rstrip(".") for note in _not_used(unused) if note.rstrip(".") not in recognised.notes]
    if detected:
        recognised.detect(f"{given.rstrip('/')}/{detected}")
    return recognised


def _not_used(errors: list[ReidflowError]) -> list[str]:
    """Return a sentence for each table and annotation file of a folder of which nothing can be made."""
    return [f"Not used: {str(error).splitlines()[0]}" for error in errors]


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
        if path.suffix.lower() in TABLE_SUFFIXES and path.name not in (
            "train.csv",
            "test.csv",
            "sample_submission.csv",
        ):
            found = _table.read(path) if "filename" in _header(path) else None
            columns = guessed(found, ("group", "flank", "time")) if found else {}
            if columns:
                source |= {"metadata": path.name, **columns}
                break
    return _opened("the layout of the jaguar competition", source)


def _guess(found: Guess) -> Recognised:
    kind, source, keys = found
    return _opened(kind, source, keys=keys)


def _of_folder(given: str, images: str | None, tree: Tree, unused: list[ReidflowError]) -> Recognised:
    """Return the source of a folder of images. unused: gains why tables in it cannot be read."""
    root = tree.root
    found = sorted(name for name in named(tree) if counts_as_image(root / name))
    tables = [n for n in sorted(tree.files) if "/" not in n and PurePosixPath(n).suffix.lower() in TABLE_SUFFIXES]
    for name in tables:
        try:
            table = _table.read(root / name)
        except ReidflowError as error:
            unused.append(error)
            continue
        known = (
            "Encounter.mediaAsset0" in table.columns
            or {"image", "identity"} <= guessed(table, ("image", "identity")).keys()
        )
        if known and found:
            recognised = _guess(of_table(f"{given.rstrip('/')}/{name}", images))
            others = ", ".join(other for other in tables if other != name)
            recognised.notes += (
                [f"'{name}' is the table used; to use another ({others}), give its name"] if others else []
            )
            return recognised
    if not found:
        what = f"none of its {len(tree.files)} files is an image" if tree.files else "it is empty"
        raise ReidflowError(f"{given}: {what}. Name the folder that holds the images.")
    if {"Ebay_train.txt", "Ebay_test.txt"} <= tree.files.keys():
        return _opened("Stanford Online Products", {"name": "sop", "path": given})
    tops = {name.split("/")[0] for name in found if "/" in name}
    if len(tops) == 1 and all("/" in name for name in found):
        # As archives unpack: a benchmark in a folder of its own.
        (top,) = tops
        within = {name.split("/")[1].lower() for name in tree.files if name.startswith(f"{top}/")}
        if within & {"ebay_train.txt", "image_query", *SIDES["query"]}:
            return recognise(f"{given.rstrip('/')}/{top}", images)
    if market := _market(given, found, tops):
        return market
    sides = {side: next((top for top in sorted(tops) if top.lower() in names), None) for side, names in FOLDERS.items()}
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
    beside = marked_beside(found) if masks is None else set()
    rest = [name for name in found if name not in beside and (masks is None or not name.startswith(f"{masks}/"))]
    base = ""
    while rest and len(tops := {_below(name, base).split("/")[0] for name in rest}) == 1:
        inner = base + tops.pop() + "/"
        if not all(name.startswith(inner) and "/" in _below(name, inner) for name in rest):
            break
        base = inner
    below = [_below(name, base) for name in rest]
    tops = {name.split("/")[0] for name in below if "/" in name}
    if len(tops) > 1 and {top.lower() for top in tops} <= SPLIT and any(name.count("/") > 1 for name in below):
        return _divided(given, base, masks, below)
    if not tops or (len(tops) == 1 and not any(name.count("/") > 1 for name in below)):
        top = base + (next(iter(tops)) + "/" if tops and all("/" in name for name in below) else "")
        return _by_name(given, top, rest, tree)
    source: dict[str, Any] = {"name": "folder", "path": given}
    source |= {"images": base.rstrip("/")} if base else {}
    masks = (base.rstrip("/") or ".") if beside else masks
    source |= {"masks": masks} if masks else {}
    if all(map(PLACES.fullmatch, tops)) and 2 * sum(name.count("/") > 1 for name in below) > len(below):
        return _at_sites(source, tops, below)
    grouped = sum(name.count("/") > 1 for name in below)
    source |= {"groups": True} if 2 * grouped > len(below) else {}
    within = (
        f"the folders {', '.join(sorted(tops)[:3])} count as individuals, those within them as groups. If they are sites, write "
        "'depth: 2' for 'groups: true'"
    )
    loose = sum("/" not in name for name in below)
    notes = [within] if source.get("groups") else []
    notes += [f"{loose} images lie in no individual's folder and are left out"] if loose else []
    return _opened(
        "a folder per individual" + (", with a folder per group in it" if source.get("groups") else ""), source, notes
    )


def _divided(given: str, base: str, masks: str | None, below: list[str]) -> Recognised:
    """Return the source of folders of roles (train, val, test) that hold a folder per individual."""
    loose = [name for name in below if name.count("/") < 2]
    if loose:
        raise ReidflowError(
            f"{given}: divided into {', '.join(sorted({name.split('/')[0] for name in below}))}, but {len(loose)} images lie in no "
            f"individual's folder there, such as '{min(loose)}'. Move them into one, or out of this folder."
        )
    source: dict[str, Any] = {"name": "folder", "path": given}
    source |= {"images": base.rstrip("/")} if base else {}
    source |= {"masks": masks} if masks else {}
    return _opened(
        "folders of roles, with a folder per individual in each", source | {"pattern": "{role}/{identity}/**"}
    )


def _at_sites(source: dict[str, Any], tops: set[str], below: list[str]) -> Recognised:
    """Return the source of folders of places or years that hold a folder per individual."""
    where: dict[str, set[str]] = {}
    for name in below:
        if name.count("/") > 1:
            where.setdefault(name.split("/")[1], set()).add(name.split("/")[0])
    several = sorted(who for who, places in where.items() if len(places) > 1)
    notes = [
        f"the folders {', '.join(sorted(tops)[:3])} count as sites, those within them as individuals. If they are individuals "
        "themselves, write 'groups: true' for 'depth: 2'",
        *([f"{len(several)} individuals, such as '{several[0]}', are at several sites"] if several else []),
    ]
    grouped = 2 * sum(name.count("/") > 2 for name in below) > len(below)
    return _opened(
        "a folder per site, with a folder per individual in it",
        source | {"depth": 2, **({"groups": True} if grouped else {})},
        notes,
    )


def _market(given: str, found: list[str], tops: set[str]) -> Recognised | None:
    """Return the source of the layout of Market-1501; None where folders or names are others."""
    defaults = {key: default for key, (_, _, default) in parameters("source", "market1501").items()}
    for folders in MARKET:
        expected = {key: folders.get(key, defaults[key]) for key in ("train", "gallery", "query")}
        pattern = Pattern(defaults["pattern"], "source 'market1501'")
        inside = [PurePosixPath(name).name for name in found if name.split("/")[0] in expected.values()]
        if set(expected.values()) <= tops and all(map(pattern.read, inside)):
            return _opened("the layout of Market-1501", {"name": "market1501", "path": given, **folders})
    return None


def _masks(found: list[str]) -> str | None:
    """Return the folder that holds a mask for each image of another one, under the same name; None where none does."""
    stems: dict[str, set[str]] = {}
    for name in found:
        top, _, rest = name.partition("/")
        if rest:
            stem = (MASKS.fullmatch(top) and unmarked(rest)) or PurePosixPath(rest).with_suffix("").as_posix()
            stems.setdefault(top, set()).add(stem)
    for top in sorted(filter(MASKS.fullmatch, stems)):
        beside = {other: shared for other, some in stems.items() if other != top and (shared := some & stems[top])}
        # Folders of individuals hold files of the same numbers: beside Alpha, Beta and Gamma do.
        if len(beside) > 1 and not all(other.lower() in SPLIT or PLACES.fullmatch(other) for other in beside):
            continue
        if beside and top.lower().startswith("alpha") and not all(map(PHOTOS.fullmatch, beside)):
            continue
        others = {PurePosixPath(name).with_suffix("").as_posix() for name in found if not name.startswith(f"{top}/")}
        others |= set().union(*beside.values())
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
