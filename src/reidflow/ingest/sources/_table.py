"""Reading the tables that come with a dataset; the content decides the format, not the suffix."""

import csv
import difflib
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from reidflow.ingest.rawdigest import TABLE_SUFFIXES
from reidflow.ingest.sources._foreign import text_of
from reidflow.ingest.sources._sniff import IMAGE_SUFFIXES
from reidflow.spec.errors import ReidflowError

_SEPARATORS = ",;\t|"
_LONGEST = 20_000_000  # characters of a value: polygons and run lengths are long
_SHOWN = 5
_HEAD = 20  # lines by which a title above the header is recognised


@dataclass(frozen=True)
class Table:
    """A table as text: column name -> one value per row, None where it is null.

    `sha256` is that of the file; `odd` holds the columns that are not text, with their types, and `nested` those of lists
    and mappings among them.
    """

    path: Path
    columns: dict[str, list[str | None]]
    sha256: str
    odd: dict[str, str]
    nested: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def column(self, name: str) -> list[str | None]:
        """Return a column, or raise ReidflowError that lists the existing columns."""
        if name in self.odd:
            raise ReidflowError(
                f"{self.path}: the column '{name}' is not text ({self.odd[name]}). Name another column, or write it as text."
            )
        if name not in self.columns:
            plain = {_plain_name(column): column for column in reversed(self.columns)}
            close = [plain[near] for near in difflib.get_close_matches(_plain_name(name), plain, n=1)]
            hint = f" Did you mean '{close[0]}'?" if close else ""
            alone = " Columns are separated by comma, semicolon, tab or bar." if len(self.columns) == 1 else ""
            raise ReidflowError(
                f"{self.path}: there is no column '{name}'.{hint} The columns are: {', '.join(self.columns) or 'none'}."
                f"{alone} Rename one in the file, or name another in the config."
            )
        return self.columns[name]

    def optional(self, name: str | None) -> Sequence[str | None]:
        """Return a column, or nulls where no column is named."""
        return [None] * len(self) if name is None else self.column(name)

    def structured(self, name: str | None) -> Sequence[str | None]:
        """Return a column of boxes or of segmentations as text, lists and mappings as JSON; nulls without a name."""
        if name not in self.nested:
            return self.optional(name)
        return [None if value is None else json.dumps(value, default=_plain) for value in self.nested[name].to_list()]


def read(path: Path) -> Table:
    """Read a CSV (comma, semicolon, tab or bar; UTF-8 or UTF-16) or Parquet file. Raises ReidflowError for a damaged one."""
    if path.is_dir():
        inside = sorted(file.name for file in path.iterdir() if file.suffix.lower() in TABLE_SUFFIXES)
        hint = f" Tables in it: {', '.join(inside[:_SHOWN])}. Write e.g. `path: {path / inside[0]}`." if inside else ""
        raise ReidflowError(f"{path}: a folder, where a CSV or Parquet file is needed. Correct 'path'.{hint}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReidflowError(f"{path}: this table cannot be read ({error.strerror}). Correct its name.") from error
    columns, odd, nested = _parquet(data, path) if data[:4] == b"PAR1" else (_csv(data, path), {}, {})
    return Table(path, columns, hashlib.sha256(data).hexdigest(), odd, nested)


def _csv(data: bytes, path: Path) -> dict[str, list[str | None]]:
    text = text_of(data, path)
    # Excel's own first line, which it writes and reads.
    stated = re.match(r'"?sep=(.)"?\r?\n', text, re.IGNORECASE)
    text = text[stated.end() :] if stated else text
    separator = stated[1] if stated else _separator(text)
    read = [(number, line) for number, line in _lines(text, separator, path) if any(value.strip() for value in line)]
    lines = [line for _, line in read]
    if not lines:
        raise ReidflowError(f"{path}: the table is empty. Its first line must name the columns.")
    header = ["".join(c for c in name if unicodedata.category(c) != "Cf").strip() for name in lines[0]]
    _check_header(header, read, 1 if stated else 0, separator, path)
    wrong: list[tuple[int, int]] = []
    for number, line in enumerate(lines[1:], 1):
        if len(line) > len(header) and not any(value.strip() for value in line[len(header) :]):
            del line[len(header) :]
        if len(line) != len(header):
            wrong.append((number, len(line)))
    if wrong:
        number, values = wrong[0]
        if len(wrong) == len(lines) - 1 and {values for _, values in wrong} == {len(header) + 1}:
            raise ReidflowError(
                f"{path}: each row has one value more than the header has names, as where R writes the names of rows. Write a name "
                f"for the first column, e.g. 'row{separator}{separator.join(header)[:80]}'."
            )
        more = f" {len(wrong)} rows are like this one." if len(wrong) > 1 else ""
        raise ReidflowError(
            f"{path}, row {number}: {values} values under {len(header)} column names.{more} Quote values that hold a '{separator}'."
        )
    return {name: [line[i] for line in lines[1:]] for i, name in enumerate(header)}


def _separator(text: str) -> str:
    """Return what separates the columns: the likeliest mark of the first line that has any."""
    for line in text.split("\n", _HEAD)[:_HEAD]:
        found = max(_SEPARATORS, key=line.count)
        if found in line:
            return found
    return _SEPARATORS[0]


def _check_header(
    header: list[str], lines: list[tuple[int, list[str]]], above: int, separator: str, path: Path
) -> None:
    """Raise ReidflowError for a first line that does not name the columns. above: lines of the file that are not among these."""
    width = sum(map(bool, header))
    for number, line in lines[1:_HEAD]:
        fuller = sum(bool(value.strip()) for value in line)
        if fuller > max(width, 1) and width <= 1 and not any(map(_names_an_image, header)):
            title, names = " ".join(filter(None, header)), separator.join(line)
            raise ReidflowError(
                f"{path}: the first line, '{title}', names no columns, as line {number + above} seems to do: '{names}'. Remove the lines above "
                "that one."
            )
    if any(map(_names_an_image, header)):
        names = ["path" if _names_an_image(name) else f"column{i}" for i, name in enumerate(header, 1)]
        names = ["path", "identity"] if names == ["path", "column2"] else names
        raise ReidflowError(
            f"{path}: the first line, '{separator.join(header)}', is a row of the table, not the names of its columns. Write these "
            f"above it, e.g. '{separator.join(names)}'."
        )
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled == [""]:
        raise ReidflowError(f"{path}: {header.count('')} columns have no name. Name or remove them.")
    if doubled:
        raise ReidflowError(f"{path}: the column '{doubled[0]}' occurs twice. Rename or remove one of them.")


def _names_an_image(value: str) -> bool:
    return PurePath(value).suffix.lower() in IMAGE_SUFFIXES


def _lines(text: str, separator: str, path: Path) -> list[tuple[int, list[str]]]:
    """Return the lines that are not blank, the header among them, with their number in the file (that at their end).

    Raises ReidflowError that names the row.
    """
    lines: list[tuple[int, list[str]]] = []
    csv.field_size_limit(_LONGEST)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        for line in reader:
            if line:
                lines.append((reader.line_num, line))
    except csv.Error as error:
        row = f"row {len(lines)}" if lines else "header"
        hint = "A quote opens there and never closes" if "end of data" in str(error) else "Look at its quotes"
        raise ReidflowError(f"{path}, {row}: not readable as CSV ({error}). {hint}: correct the file.") from error
    return lines


def _parquet(data: bytes, path: Path) -> tuple[dict[str, list[str | None]], dict[str, str], dict[str, Any]]:
    """Return the columns as text, the types of those that are not, and those of lists and mappings as they are."""
    # Imported here: listing a folder or a CSV needs no data frames.
    import polars as pl

    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except pl.exceptions.PolarsError as error:
        raise ReidflowError(f"{path}: not readable as Parquet ({error}). Write the file again.") from error
    columns: dict[str, list[str | None]] = {}
    odd: dict[str, str] = {}
    nested: dict[str, Any] = {}
    for series in frame.iter_columns():
        if series.dtype.is_float():
            series = series.fill_nan(None)
            # pandas turns a column of integers with a null into floats.
            if (series.drop_nulls() % 1 == 0).all() and (series.drop_nulls().abs() < 2**63).all():
                series = series.cast(pl.Int64)
        if series.dtype == pl.Datetime and series.dtype.time_zone:
            series = series.dt.to_string("%Y-%m-%dT%H:%M:%S%.f%:z")
        if series.dtype.is_nested():
            odd[series.name], nested[series.name] = str(series.dtype), series
            continue
        try:
            columns[series.name] = series.cast(pl.String).to_list()
        except pl.exceptions.PolarsError:
            odd[series.name] = str(series.dtype)
    return columns, odd, nested


def _plain_name(column: str) -> str:
    return re.sub(r"[\s_-]+", "", column).casefold()


def _plain(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
