"""Tables of encounters and annotations as Wildbook exports and imports them, saved as CSV."""

import re
from collections.abc import Sequence
from pathlib import Path

from reidflow.ingest.boxes import parse_column
from reidflow.ingest.listing import Listing, Row, settle
from reidflow.ingest.rawdigest import dataset_paths, table_name, walk
from reidflow.ingest.sources import _table
from reidflow.spec.errors import ReidflowError

ASSET = re.compile(r"Encounter\.mediaAsset(\d+)")
NAMES = (
    "Name0.value",
    "MarkedIndividual.individualID",
    "Encounter.individualID",
    "Encounter.individualId",
    "individual",
)
SIGHTINGS = ("Sighting.sightingID", "Occurrence.occurrenceID", "Encounter.occurrenceID", "Encounter.catalogNumber")
SITES = ("Encounter.locationID", "Encounter.verbatimLocality")
CAMERAS = ("Encounter.cameraID", "Encounter.stationId")
_TIME = ("year", "month", "day", "hour", "minutes")


def open_source(*, path: str, images: str | None = None, boxes: bool = True) -> Listing:
    """List the media of the encounters in the table at `path`: Wildbook's annotation export, or a sheet for bulk import.

    images: the folder that holds the images, without it the table's own; files are named as in `Encounter.mediaAsset0`,
    `Encounter.mediaAsset1`, ... boxes: whether images are cut to `Annotation0.bbox`, ...
    The identity is `Name0.value` or `MarkedIndividual.individualID` (`Encounter.individualID`), and one that is blank is
    unlabelled; the group is the sighting (`Sighting.sightingID`, `Occurrence.occurrenceID`) or else the row, one encounter;
    the flank is `Annotation0.ViewPoint`, the site `Encounter.locationID`, and the time comes from `Encounter.year` to
    `Encounter.minutes`. Media whose `Annotation0.MatchAgainst` is false are left out and counted.
    Raises ReidflowError for a table without media or names of individuals.
    """
    root, extra = dataset_paths({"name": "wildbook", "path": path, "images": images})
    file = Path(path).expanduser()
    table = _table.read(file)
    media = sorted((int(match[1]), name) for name in table.columns if (match := ASSET.fullmatch(name)))
    if not media:
        raise ReidflowError(f"{path}: there is no column 'Encounter.mediaAsset0', so it is not a table of Wildbook.")
    if not any(name in table.columns for name in NAMES):
        raise ReidflowError(f"{path}: no column names individuals. It needs one of {', '.join(NAMES)}.")
    labels, sites, cameras = (_first(table, names) for names in (NAMES, SITES, CAMERAS))
    groups = [given or f"row {number}" for number, given in enumerate(_first(table, SIGHTINGS), 1)]
    times = [_time(parts) for parts in zip(*(_first(table, (f"Encounter.{part}",)) for part in _TIME), strict=True)]
    rows, left_out = [], 0
    for number, column in media:
        annotation = f"Annotation{number}"
        found = parse_column(_first(table, (f"{annotation}.bbox",)), f"{path}, column '{annotation}.bbox'")
        views = _first(table, (f"{annotation}.ViewPoint", f"{annotation}.Viewpoint", f"{annotation}.Viewoint"))
        matched = _first(table, (f"{annotation}.MatchAgainst",))
        for i, name in enumerate(table.columns[column]):
            if not (name or "").strip():
                continue
            if (matched[i] or "").lower() == "false":
                left_out += 1
                continue
            rows.append(
                Row(name or "", labels[i], group=groups[i], flank=views[i], time=times[i], camera=cameras[i], site=sites[i],
                    box=found[i] if boxes else None, row=i + 1, table=path)
            )  # fmt: skip
    if not rows:
        raise ReidflowError(f"{path}: none of its {len(table)} rows names an image in 'Encounter.mediaAsset0'.")
    not_matched = {"(not matched against)": left_out} if left_out else None
    return settle(walk(root), rows, {table_name(file, root): table.sha256}, extra, left_out=not_matched)


def _first(table: _table.Table, names: Sequence[str]) -> list[str | None]:
    """Return for each row the value of the first of several columns that is there and not blank."""
    columns = [table.columns[name] for name in names if name in table.columns]
    return [next((v.strip() for v in values if v and v.strip()), None) for values in zip(*columns, strict=True)] or [
        None
    ] * len(table)


def _time(parts: Sequence[str | None]) -> str | None:
    """Return year, month, day, hour and minutes as ISO 8601, as far as they are known; None without a year."""
    numbers: list[int] = []
    for part in parts:
        if part is None or not re.fullmatch(r"\d+(\.0*)?", part):
            break
        numbers.append(int(float(part)))
    if not numbers:
        return None
    day = "-".join(f"{number:0{4 if i == 0 else 2}d}" for i, number in enumerate(numbers[:3]))
    return f"{day}T{numbers[3]:02d}:{(numbers[4:] or [0])[0]:02d}" if len(numbers) > 3 else day
