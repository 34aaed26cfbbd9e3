"""Parquet tables with a declared schema, checked when written and when read."""

import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from reidflow.spec.errors import ReidflowError
from reidflow.store import disk
from reidflow.store.atomic import replacing


@dataclass(frozen=True)
class Contract:
    """The declared columns of a table, in order, with the columns in which a null is allowed.

    `open` tables may carry further columns behind the declared ones (parameters that depend on the experiment).
    """

    name: str
    columns: dict[str, pl.DataType | type[pl.DataType]]
    nullable: frozenset[str] = frozenset()
    open: bool = False

    def check(self, frame: pl.DataFrame, where: str) -> None:
        """Raise ReidflowError naming the table, the place and the column that does not fit."""
        missing = [c for c in self.columns if c not in frame.columns]
        extra = [] if self.open else [c for c in frame.columns if c not in self.columns]
        wrong = [
            f"{c} is {frame.schema[c]}, not {t}"
            for c, t in self.columns.items()
            if c in frame.columns and frame.schema[c] != t
        ]
        nulls = [c for c in self.columns if c in frame.columns and c not in self.nullable and frame[c].null_count() > 0]
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


def write_table(frame: pl.DataFrame, path: str | os.PathLike, contract: Contract) -> None:
    """Check `frame` against `contract` and write it to `path` atomically, in the declared order of columns."""
    contract.check(frame, str(path))
    rest = [c for c in frame.columns if c not in contract.columns]
    with replacing(path) as temporary:
        frame.select([*contract.columns, *rest]).write_parquet(temporary, compression="zstd", statistics=False)


def read_table(path: str | os.PathLike, contract: Contract) -> pl.DataFrame:
    """Read the table at `path` and check it against `contract`. Raises ReidflowError for a missing or damaged file."""
    if not Path(path).is_file():
        raise ReidflowError(
            f"{path}: no such file (a table of the kind '{contract.name}'). Run the pipeline to make it."
        )
    try:
        with disk.named(path):
            frame = pl.read_parquet(path, use_statistics=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ReidflowError(
            f"{path}: not readable as Parquet ({error}). The file is damaged: delete it and run again."
        ) from error
    contract.check(frame, str(path))
    return frame
