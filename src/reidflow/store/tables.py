"""Parquet tables with a declared schema, checked when written and when read.

A file carries its contract in the metadata of its own schema: the name of the contract, the version of reidflow and
the digests that it was made from (key `reidflow`, JSON), and for each column that is described its heading, unit and
meaning. `pyarrow.parquet.read_schema(path)` shows all of it, and so does any other tool that reads Parquet.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from reidflow.spec import components
from reidflow.spec.errors import ReidflowError
from reidflow.store import disk
from reidflow.store.atomic import replacing

if TYPE_CHECKING:
    import pyarrow

DataType = pl.DataType | type[pl.DataType]
ROWS_PER_GROUP = 65_536
"""Rows of a row group: what a filtered read can skip by the lowest and highest value of a column."""
_KEY = b"reidflow"


@dataclass(frozen=True)
class Column:
    """A column: its type and the way a person sees it.

    format: a name in `reidflow.tables.text.FORMATS`. meaning: one sentence, the tooltip of its heading. unit: of the
    stored values. nullable: whether nulls are allowed.
    """

    name: str
    dtype: DataType
    heading: str
    format: str
    meaning: str
    unit: str = ""
    nullable: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the stored columns behind it."""
        return (self.name,)

    def but(self, **changes: Any) -> "Column":
        """Return the column with other values of some attributes, such as its heading."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Span:
    """A column for display alone, whose cell shows several stored columns: the ends of an interval, `3 of 5`.

    fields: names of those columns, in the order in which the format takes them. format, meaning: as of a Column.
    """

    name: str
    fields: tuple[str, ...]
    heading: str
    format: str
    meaning: str

    def but(self, **changes: Any) -> "Span":
        """Return the span with other values of some attributes, such as its heading."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Contract:
    """The declared columns of a table, in order.

    declared: the columns, with spans that show them; or name -> type, for a table that no person reads. nullable: columns
    in which a null is allowed, besides those that say so themselves. open: the table may carry further columns behind the
    declared ones (parameters that depend on the experiment). optional: further columns, name -> type, that a table may have behind them,
    in which a null is allowed.
    """

    name: str
    declared: Mapping[str, DataType] | Sequence[Column | Span]
    nullable: frozenset[str] = frozenset()
    open: bool = False
    optional: Mapping[str, DataType] = field(default_factory=dict)

    @cached_property
    def columns(self) -> dict[str, DataType]:
        """Stored columns: name -> type."""
        if isinstance(self.declared, Mapping):
            return dict(self.declared)
        return {column.name: column.dtype for column in self.declared if isinstance(column, Column)}

    @cached_property
    def shown(self) -> dict[str, Column | Span]:
        """Described columns and spans by name; empty where the contract gives types alone."""
        return {} if isinstance(self.declared, Mapping) else {column.name: column for column in self.declared}

    @cached_property
    def _nullable(self) -> frozenset[str]:
        own = {column.name for column in self.shown.values() if isinstance(column, Column) and column.nullable}
        return self.nullable | own | self.optional.keys()

    def check(self, frame: pl.DataFrame, where: str, columns: Sequence[str] | None = None) -> None:
        """Raise ReidflowError naming the table, the file and the column that does not fit.

        columns: those that the frame was read with; all by default.
        """
        expected = {name: self.columns[name] for name in columns} if columns is not None else self.columns
        expected = {**expected, **{name: self.optional[name] for name in self.optional if name in frame.columns}}
        missing = [c for c in expected if c not in frame.columns]
        extra = [] if self.open else [c for c in frame.columns if c not in expected]
        wrong = [
            f"{c} is {frame.schema[c]}, not {t}"
            for c, t in expected.items()
            if c in frame.columns and frame.schema[c] != t
        ]
        nulls = [c for c in expected if c in frame.columns and c not in self._nullable and frame[c].null_count() > 0]
        faults = [
            f"missing columns {missing}" if missing else "",
            f"unknown columns {extra}" if extra else "",
            "; ".join(wrong),
            f"nulls in {nulls}" if nulls else "",
        ]
        if any(faults):
            raise ReidflowError(
                f"{where}: not a table of the kind '{self.name}': {'; '.join(f for f in faults if f)}. "
                "The file was written by another version or changed by hand: delete it and run again."
            )

    def empty(self) -> pl.DataFrame:
        """Return a table of this kind without rows."""
        return pl.DataFrame(schema=self.columns)


def write_table(
    frame: pl.DataFrame, path: str | os.PathLike, contract: Contract, about: Mapping[str, str] | None = None
) -> None:
    """Check `frame` against `contract` and write it to `path` atomically, in the declared order of columns.

    about: digests and versions that the table was made from, kept in the file's metadata. Equal frames, contracts and
    `about` give equal bytes.
    """
    contract.check(frame, str(path))
    from pyarrow import parquet

    rest = [c for c in frame.columns if c not in contract.columns]
    table = frame.select([*contract.columns, *rest]).to_arrow(compat_level=pl.CompatLevel.oldest())
    table = table.cast(_described(table.schema, contract, about or {}))
    with replacing(path) as temporary:
        parquet.write_table(
            table,
            temporary,
            compression="zstd",
            row_group_size=ROWS_PER_GROUP,
            **_encoding(frame.select(table.column_names)),
        )


def _encoding(frame: pl.DataFrame) -> dict[str, Any]:
    """Return how a table with vectors is encoded: a dictionary of numbers that hardly recur takes half as much again."""
    vectors = [name for name, kind in frame.schema.items() if kind == pl.List(pl.Float32)]
    if not vectors:
        return {}
    split = {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in vectors}
    return {"use_dictionary": [name for name in frame.columns if name not in vectors], "column_encoding": split}


def read_table(
    path: str | os.PathLike,
    contract: Contract,
    columns: Sequence[str] | None = None,
    filters: Sequence[tuple[str, str, Any]] | None = None,
) -> pl.DataFrame:
    """Read the table at `path` and check it against `contract`. Raises ReidflowError for a missing or damaged file.

    columns: those to read, all by default. filters: conditions that every row read meets, such as `("arm", "==", "base")`
    or `("seed", "in", [0, 1])`; row groups without such a row are not read.
    """
    if not Path(path).is_file():
        raise ReidflowError(
            f"{path}: no such file (a table of the kind '{contract.name}'). Run the pipeline to make it."
        )
    from pyarrow import ArrowException

    try:
        with disk.explained(path):
            frame = pl.DataFrame(_read(path, columns, filters))
    except (ArrowException, KeyError, OSError, pl.exceptions.PolarsError) as error:
        raise ReidflowError(
            f"{path}: not readable as Parquet ({error}). The file is damaged: delete it and run again."
        ) from error
    contract.check(frame, str(path), columns)
    return frame


def read_about(path: str | os.PathLike) -> dict[str, Any]:
    """Return what a table's file says of itself: `contract`, `version`, and what else it was written with."""
    from pyarrow import parquet

    return json.loads((parquet.read_schema(path).metadata or {}).get(_KEY, b"{}"))


def _read(
    path: str | os.PathLike, columns: Sequence[str] | None, filters: Sequence[tuple[str, str, Any]] | None
) -> "pyarrow.Table":
    from pyarrow import parquet

    columns = None if columns is None else list(columns)
    if filters is None:
        # Spares the import of pyarrow.dataset, which most jobs do without.
        with parquet.ParquetFile(path) as file:
            return file.read(columns=columns)
    from pyarrow import dataset

    wanted = parquet.filters_to_expression(list(filters))
    return dataset.dataset(path, format="parquet").to_table(columns=columns, filter=wanted)


def _described(schema: "pyarrow.Schema", contract: Contract, about: Mapping[str, str]) -> "pyarrow.Schema":
    """Return the schema with the contract in its metadata."""
    import pyarrow

    fields = []
    for entry in schema:
        column = contract.shown.get(entry.name)
        if isinstance(column, Column):
            known = {"heading": column.heading, "unit": column.unit, "meaning": column.meaning}
            entry = entry.with_metadata({key: value for key, value in known.items() if value})
        fields.append(entry)
    own = {"contract": contract.name, "version": components.version(), **about}
    return pyarrow.schema(fields, metadata={_KEY: json.dumps(own, ensure_ascii=False).encode()})
