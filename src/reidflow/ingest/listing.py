"""The listing of a dataset by its source: images with their labels, and the rows that cannot be used."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from reidflow.ingest import labels
from reidflow.ingest.boxes import Box
from reidflow.ingest.lookup import HOW, OUTSIDE, Files
from reidflow.ingest.rawdigest import Tree
from reidflow.ingest.sources._pattern import FACTS, Pattern
from reidflow.ingest.times import has_zone, is_blank, iso, remedy
from reidflow.spec.errors import Problems, ReidflowError
from reidflow.spec.reading import Dates, Links, Spellings

REASONS = {
    "missing": "the file does not exist",
    "duplicate_id": "another row names the same file",
    "no_identity": "the row has no label",
    "zero_size": "the file is empty",
    "unreadable": "the content is not a readable image",
    "truncated": "the file ends too early",
    "too_large": "more pixels than max_pixels allows",
    "empty_mask": "the mask is empty",
    "mask_size": "the mask's proportions are not the image's",
    "segmentation": "the segmentation is neither polygons nor run lengths",
    "no_detection": "the detector found no animal",
    "box": "the box covers no pixel of the photograph",
}
_REMEDIES = {
    "file": "Copy the files into the dataset, and name them there.",
    "side": "Correct it, or leave it blank.",
    "role": "Correct it, leave it blank, or (source table) say what it means, e.g. roles: {'0': train, '1': test} in dataset.source.",
}
SIDES = {
    "query": ("query", "queries", "probe", "probes"),
    "gallery": ("gallery", "galleries", "reference", "references", "database"),
}
"""The sides of an evaluation -> how data sets call them, in columns, folders and names."""
ROLES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", *SIDES["query"], *SIDES["gallery"]),
}
"""The roles of a split -> how data sets call them; the sides are of the role test."""
_FEW = 8  # values of a fact that a note lists


@dataclass(frozen=True)
class Reading:
    """What the config says of the labels, times, links and file names of any source; the fields are keys of `dataset`."""

    unlabelled: Sequence[str] | None = None
    spellings: Spellings = "keep"
    dates: Dates = "iso"
    links: Links = "refuse"
    from_names: str | None = None

    @classmethod
    def of(cls, dataset: Mapping[str, Any]) -> "Reading":
        """Return what the section `dataset` of a config says."""
        return cls(**{field.name: dataset[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class Row:
    """One image as its source names it.

    `path` and `mask` are relative to the dataset. `identity` None: unlabelled on purpose; blank: the label is missing.
    `time` is ISO 8601, `side` is query or gallery, `role` (of a split given by the data) train, val or test. `box`: left,
    top, width and height of the animal in pixels of the upright photograph, or in shares of its sides where `relative`;
    None: the whole photograph. `segmentation`: the mask as JSON, a COCO segmentation of the photograph. `row` counts the
    rows of the source's table from 1, header excluded, and `table` is that table's path.
    """

    path: str
    identity: str | None
    mask: str | None = None
    group: str | None = None
    flank: str | None = None
    time: str | None = None
    side: str | None = None
    camera: str | None = None
    site: str | None = None
    role: str | None = None
    box: Box | None = None
    relative: bool = False
    segmentation: str | None = None
    row: int | None = None
    table: str | None = field(default=None, compare=False)

    @property
    def image(self) -> str:
        """The image id: the path, so that equal file names in two folders never collide, and the box of a crop."""
        return self.path if self.box is None else f"{self.path}#{','.join(f'{value:g}' for value in self.box)}"


@dataclass(frozen=True)
class Fault:
    """One image that cannot be used; `reason` is a key of REASONS."""

    image: str
    path: str
    row: int | None
    identity: str | None
    reason: str
    detail: str


@dataclass(frozen=True)
class Listing:
    """A dataset as listed by its source, before any image is opened.

    `ignored` counts the files that are neither images nor masks nor tables, by suffix, and `left_out`, what the source
    leaves out on purpose, by what it is; `tables` holds the SHA-256 of each table that was read, by its name in the
    dataset's digest; `extra` are those of them outside `root`; `notes` is what its owner should know of rows that are used,
    a sentence per kind; `tree` and `candidates` are the files and the rows as the source found them; `advice` is what brings
    most of the missing files into the dataset, if known; `nobody`
    holds the labels, in small letters, by which the source's format says that nobody is known.
    """

    root: Path
    rows: list[Row]
    faults: list[Fault]
    ignored: dict[str, int]
    tables: dict[str, str]
    extra: list[Path]
    notes: list[str]
    tree: Tree
    candidates: list[Row]
    left_out: dict[str, int]
    advice: str = ""
    nobody: frozenset[str] = frozenset()


def reread(listing: Listing, reading: Reading) -> Listing:
    """Return the listing of a source as the config says that its labels, times and file names are to be read.

    Raises ReidflowError for labels that mean that nobody knows, unless `unlabelled` says what they are, and for links that
    lead outside unless they are to be followed, and for a pattern that no file name matches.
    """
    if reading.links == "refuse":
        listing.tree.require_inside()
    found = [clean(row.identity) for row in listing.candidates]
    nobody = listing.nobody if reading.unlabelled is None or reading.unlabelled else frozenset()
    nobody -= {label.lower() for label in labels.kept(reading.unlabelled or (), filter(None, found))}
    renamed, notes = _labels(found, reading, nobody, listing.root)
    if renamed or nobody != listing.nobody or reading.dates != "iso":
        listing = settle(
            listing.tree,
            listing.candidates,
            listing.tables,
            listing.extra,
            listing.left_out,
            renamed,
            reading.dates,
            nobody,
        )
    listing = replace(listing, notes=[*notes, *listing.notes, *_respelt(listing)])
    return listing if reading.from_names is None else _named(listing, reading.from_names, reading.dates)


def _respelt(listing: Listing) -> list[str]:
    """Return a sentence on the flanks of a column that are read otherwise than they are written."""
    written = sorted({row.flank.strip() for row in listing.candidates if row.flank and row.flank.strip()})
    other = [text for text in written if labels.viewpoint(text) != text]
    if not other:
        return []
    example = f"'{other[0]}' is {labels.viewpoint(other[0]) or 'not known'}"
    count = Counter(row.flank for row in listing.rows if row.flank)
    flanks = (
        f": {', '.join(f'{name} {number}' for name, number in sorted(count.items()))}" if len(count) <= _FEW else ""
    )
    return [
        f"{len(other)} of {len(written)} spellings of flanks are read in another one, e.g. {example}; {len(count)} flanks{flanks}."
    ]


def _named(listing: Listing, text: str, dates: Dates) -> Listing:
    """Return the listing with what the images' file names say of them, by a pattern, where their source does not say it.

    Raises ReidflowError where no name matches.
    """
    pattern = Pattern(text, "dataset.from_names", FACTS)
    found = [pattern.read_last(row.path) for row in listing.rows]
    other = [row.path for row, parts in zip(listing.rows, found, strict=True) if parts is None]
    if listing.rows and len(other) == len(listing.rows):
        raise ReidflowError(
            f"dataset.from_names: none of {len(other)} file names matches '{text}', such as '{min(other)}'. A pattern without '/' is "
            "compared with the file's name alone, without its suffix: * is any other text, e.g. "
            '"*_{flank:left|right}*". Correct it, or leave from_names out.'
        )
    rows, read = [], {name: Counter() for name in FACTS if f"{{{name}" in text}
    for row, parts in zip(listing.rows, found, strict=True):
        facts = {
            name: iso(value, dates) if name == "time" else labels.viewpoint(value) if name == "flank" else clean(value)
            for name, value in (parts or {}).items()
            if getattr(row, name) is None
        }
        rows.append(replace(row, **facts))
        for name, value in facts.items():
            read[name][value] += 1
    count = len(rows) - len(other)
    some = [f"{sum(values.values())} have their {name} from it{_most(values)}" for name, values in read.items()]
    rest = f"; {len(other)} do not match, e.g. '{min(other)}'" if other else ""
    note = f"dataset.from_names: {count} of {len(rows)} file names match '{text}'; {', '.join(some)}{rest}."
    return replace(listing, rows=rows, notes=[*listing.notes, note])


def _most(values: Counter) -> str:
    """Return how often the commonest values occur, in brackets; '' where there are many."""
    named = sorted((value or "not read", count) for value, count in values.items())
    return f" ({', '.join(f'{value} {count}' for value, count in named)})" if 0 < len(named) <= _FEW else ""


def settle(
    tree: Tree,
    candidates: Iterable[Row],
    tables: dict[str, str] | None = None,
    extra: list[Path] | None = None,
    left_out: dict[str, int] | None = None,
    renamed: Mapping[str | None, str | None] | None = None,
    dates: Dates = "iso",
    nobody: frozenset[str] = frozenset(),
) -> Listing:
    """Check the rows of a source against the existing files and return them sorted by image id.

    Labels lose surrounding blanks and become Unicode NFC, so that two spellings of one name are one identity; blank
    values become null, and so do times that cannot be read. Raises ReidflowError that lists every path outside the
    dataset and every invalid `side` and `role`. renamed: label -> what it is read as, where that differs. nobody:
    labels in small letters by which the source's format says that nobody is known: their rows are unlabelled and have no
    role, as they may show animals that are known.
    """
    candidates, tables, extra = list(candidates), tables or {}, extra or []
    files = Files(tree, [name for row in candidates for name in (row.path, row.mask) if name])
    problems = _Problems(tree.root)
    overlooked: dict[str, list[str]] = {}
    times: list[Row] = []
    rows: list[Row] = []
    faults: list[Fault] = []
    for candidate in candidates:
        row = _tidy(candidate, renamed or {}, dates, nobody, problems)
        if row.time is None and candidate.time and not is_blank(candidate.time):
            times.append(candidate)
        found = files.find(row.path)
        named, row = [(row.path, found)], replace(row, path=found.path)
        reason, detail = found.reason, found.detail
        if not reason and row.mask:
            found = files.find(row.mask)
            named.append((row.mask, found))
            row = replace(row, mask=found.path)
            reason, detail = found.reason, f"its mask: {found.detail}"
        if reason == OUTSIDE:
            problems.add("file", candidate, f"{detail}.")
        if not reason and row.identity == "":
            reason, detail = "no_identity", "the label is blank"
        if reason:
            faults.append(fault(row, reason, detail))
            continue
        rows.append(row)
        for written, meant in named:
            if meant.how:
                overlooked.setdefault(meant.how, []).append(f"'{written.strip()}' is '{meant.path}'")
    problems.raise_if_any(files.remedy())
    notes = [f"{len(some)} file names {HOW[how]}, e.g. {some[0]}." for how, some in sorted(overlooked.items())]
    rows, doubled = _unique(rows)
    used = {row.path for row in rows} | {row.mask for row in rows} | {f.path for f in faults + doubled} | set(tables)
    others = [name for name in tree.files if name not in used] + tree.litter
    return Listing(
        tree.root,
        sorted(rows, key=lambda row: row.image),
        sorted(faults + doubled, key=lambda f: (f.image, f.row or 0)),
        count_suffixes(others) | (left_out or {}),
        tables,
        extra,
        notes + _unread(times) + _zones(rows),
        tree,
        candidates,
        left_out or {},
        files.remedy(),
        nobody,
    )


def _labels(
    found: Iterable[str | None], reading: Reading, nobody: frozenset[str], root: Path
) -> tuple[dict[str | None, str | None], list[str]]:
    """Return label -> what it is read as, where that differs, and what the owner should know of the labels."""
    counts = Counter(label for label in found if label is not None)
    marked, idle = labels.marked(reading.unlabelled or (), counts)
    named = {
        label: count for label, count in counts.items() if label and label not in marked and label.lower() not in nobody
    }
    labels.require_named(named, reading.unlabelled, str(root))
    renamed: dict[str | None, str | None] = dict.fromkeys(marked)
    renamed |= labels.joined(named) if reading.spellings == "join" else {}
    none = [f"dataset.unlabelled: no label is {', '.join(map(repr, idle))}."] if idle else []
    return renamed, none + labels.notes(named, reading.spellings)


def summary(faults: list[Fault]) -> str:
    """Return a line for each reason: how many images cannot be used for it, and the first of them."""
    first: dict[str, Fault] = {}
    for one in faults:
        first.setdefault(one.reason, one)
    counts = Counter(one.reason for one in faults)
    return "\n".join(
        f"  {counts[reason]} x {reason}: {REASONS.get(reason, reason)}, e.g. {'' if one.row is None else f'row {one.row}, '}"
        f"{one.image or '(no name)'} ({one.detail})"
        for reason, one in sorted(first.items())
    )


def fault(row: Row, reason: str, detail: str) -> Fault:
    """Return the quarantine entry of `row`; a name that is not UTF-8 is escaped."""
    image, shown = (name.encode("utf-8", "backslashreplace").decode() for name in (row.image, row.path))
    return Fault(image, shown, row.row, row.identity or None, reason, detail)


def clean(label: str | None) -> str | None:
    """Return a label without surrounding blanks, in Unicode NFC; None stays None."""
    return None if label is None else unicodedata.normalize("NFC", label).strip()


def side_of(text: str) -> str | None:
    """Return the side (`query` or `gallery`) that a word means; None where it means none."""
    return next((side for side, words in SIDES.items() if text.strip().lower() in words), None)


def count_suffixes(names: Iterable[str]) -> dict[str, int]:
    """Return how many of `names` end in which suffix (lower case, a hidden name being its own), sorted by suffix."""
    # The x turns a name such as .DS_Store into one with a suffix.
    suffixes = (PurePosixPath("x" + PurePosixPath(name).name).suffix.lower() or "(no suffix)" for name in names)
    counted = Counter(s.encode("utf-8", "backslashreplace").decode() for s in suffixes)
    return {suffix: counted[suffix] for suffix in sorted(counted)}


def _zones(rows: list[Row]) -> list[str]:
    """Return a sentence on times of which some alone have an offset from UTC."""
    times = [row.time for row in rows if row.time and "T" in row.time]
    zoned = sum(map(has_zone, times))
    if not 0 < zoned < len(times):
        return []
    return [
        f"{zoned} of {len(times)} times have an offset from UTC; the others have none and are treated as UTC, so they may be hours "
        "off."
    ]


class _Problems:
    """Collects what no row may say, by kind: the number of rows, and the first of them as an example."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: dict[str, tuple[list[Row], str]] = {}

    def add(self, kind: str, row: Row, what: str) -> None:
        """Add a row. kind: what is wrong with it, a key of `_REMEDIES`."""
        self.found.setdefault(kind, ([], what))[0].append(row)

    def raise_if_any(self, remedy: str) -> None:
        """Raise one ReidflowError with a paragraph for each kind. remedy: that for files outside the dataset, if known."""
        problems = Problems()
        for kind, (rows, what) in self.found.items():
            advice = remedy if kind == "file" and remedy else _REMEDIES[kind]
            more = f" {len(rows)} rows are like this one." if len(rows) > 1 else ""
            problems.add(_where(rows[0]), f"{what}{more}", advice)
        problems.raise_if_any(f"the rows of the dataset {self.root}")


def _tidy(
    row: Row, renamed: Mapping[str | None, str | None], dates: Dates, nobody: frozenset[str], problems: _Problems
) -> Row:
    label = clean(row.identity)
    known = label is None or label.lower() not in nobody
    return replace(
        row,
        identity=renamed.get(label, label) if known else None,
        mask=row.mask if row.mask and row.mask.strip() else None,
        group=clean(row.group) or None,
        flank=labels.viewpoint(row.flank),
        time=iso(row.time, dates) if row.time else None,
        side=_side(row, problems),
        camera=clean(row.camera) or None,
        site=clean(row.site) or None,
        role=_role(row, problems) if known else None,
    )


def _where(row: Row) -> str:
    return row.path if row.row is None else f"{row.table}, row {row.row}" if row.table else f"row {row.row}"


def _unread(rows: list[Row]) -> list[str]:
    """Return a sentence on the rows whose time is none that can be read."""
    if not rows:
        return []
    texts = [str(row.time) for row in rows]
    return [
        f"{len(rows)} images have a time that cannot be read, hence none, e.g. '{texts[0]}' ({_where(rows[0])}). {remedy(texts)}"
    ]


def _side(row: Row, problems: _Problems) -> str | None:
    text = clean(row.side)
    if not text:
        return None
    side = side_of(text)
    if side is None:
        problems.add("side", row, f"the side '{text}' is neither query nor gallery.")
    return side


def _role(row: Row, problems: _Problems) -> str | None:
    text = clean(row.role)
    if not text:
        return None
    role = next((role for role, names in ROLES.items() if text.lower() in names), None)
    if role is None:
        problems.add("role", row, f"the role '{text}' is none of train, val and test.")
    return role


def _unique(rows: list[Row]) -> tuple[list[Row], list[Fault]]:
    """Keep one row per image; rows that give one image different labels are all rejected."""
    by_image: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_image[row.image].append(row)
    kept: list[Row] = []
    faults: list[Fault] = []
    for same in by_image.values():
        labels = {row.identity for row in same}
        if len(labels) == 1:
            kept.append(same[0])
            faults += [fault(row, "duplicate_id", f"row {same[0].row} names the same file") for row in same[1:]]
        else:
            rows_of = ", ".join(f"'{row.identity or '(unlabelled)'}' in row {row.row}" for row in same)
            several = (
                ""
                if same[0].box
                else ". Several animals in one photograph need a box each (`bbox` of the source table)"
            )
            faults += [fault(row, "duplicate_id", f"the labels differ: {rows_of}{several}") for row in same]
    return kept, faults
