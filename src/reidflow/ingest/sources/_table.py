"""Reading the tables that come with a dataset; the content decides the format, not the suffix."""

import csv
import difflib
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reidflow.spec.errors import ReidflowError

_SEPARATORS = ",;\t|"
_LONGEST = 20_000_000  # characters of a value: polygons and run lengths are long
_FOREIGN = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "compressed with gzip",
    b"ARROW1": "an Arrow (Feather) file",
    b"\x80": "a Python pickle, which is never read, since reading one executes code",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


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
            close = difflib.get_close_matches(name, self.columns, n=1)
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
    """Read a CSV (comma, semicolon, tab or bar; UTF-8) or Parquet file. Raises ReidflowError for a damaged one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReidflowError(f"{path}: this table cannot be read ({error.strerror}). Correct its name.") from error
    columns, odd, nested = _parquet(data, path) if data[:4] == b"PAR1" else (_csv(data, path), {}, {})
    return Table(path, columns, hashlib.sha256(data).hexdigest(), odd, nested)


def _csv(data: bytes, path: Path) -> dict[str, list[str | None]]:
    foreign = next((what for start, what in _FOREIGN.items() if data.startswith(start)), None)
    if foreign:
        raise ReidflowError(f"{path}: this is {foreign}. Save the table as CSV with UTF-8 encoding, or as Parquet.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ReidflowError(f"{path}, line {line}: not UTF-8. Save the table as CSV with UTF-8 encoding.") from error
    first = text.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=first.count)
    lines = _lines(text, separator, path)
    if not lines:
        raise ReidflowError(f"{path}: the table is empty. Its first line must name the columns.")
    header = [name.strip() for name in lines[0]]
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled == [""]:
        raise ReidflowError(f"{path}: {header.count('')} columns have no name. Name or remove them.")
    if doubled:
        raise ReidflowError(f"{path}: the column '{doubled[0]}' occurs twice. Rename or remove one of them.")
    for number, line in enumerate(lines[1:], 1):
        if len(line) != len(header):
            raise ReidflowError(
                f"{path}, row {number}: {len(line)} values under {len(header)} column names. Quote values that hold a "
                f"'{separator}'."
            )
    return {name: [line[i] for line in lines[1:]] for i, name in enumerate(header)}


def _lines(text: str, separator: str, path: Path) -> list[list[str]]:
    """Return the lines that are not blank, the header among them. Raises ReidflowError that names the row."""
    lines: list[list[str]] = []
    csv.field_size_limit(_LONGEST)
    try:
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True):
            if line:
                lines.append(line)
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
            if (series.drop_nulls() % 1 == 0).all():
                series = series.cast(pl.Int64)
        if series.dtype.is_nested():
            odd[series.name], nested[series.name] = str(series.dtype), series
            continue
        try:
            columns[series.name] = series.cast(pl.String).to_list()
        except pl.exceptions.PolarsError:
            odd[series.name] = str(series.dtype)
    return columns, odd, nested


def _plain(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
