"""Images of one moment: by their times, cameras and sites, by numbers in file names, and by the photograph they were cut from."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np
import polars as pl

from reidflow.ingest.times import moment

DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1)
_LAST_NUMBER = re.compile(r"([0-9]+)([^0-9]*)$")


@dataclass(frozen=True)
class Times:
    """When images were taken, microseconds since 1970.

    start, end: int64 (N,), the span that a time covers as far as it is known: of a date, the day. known: bool (N,), False
    for images without time and for those of which only the year or the month is known. coarse: how many the latter are.
    """

    start: np.ndarray
    end: np.ndarray
    known: np.ndarray
    coarse: int


def times_of(texts: Sequence[str | None]) -> Times:
    """Return the times of the manifest's column `time`."""
    start, end = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    known, coarse = np.zeros(len(texts), bool), 0
    for row, text in enumerate(texts):
        if text is None:
            continue
        span = moment(text)
        if span.end - span.start > DAY:
            coarse += 1
            continue
        start[row], end[row] = (span.start - _EPOCH) // _MICROSECOND, (span.end - _EPOCH) // _MICROSECOND
        known[row] = True
    return Times(start, end, known, coarse)


def within_time(times: Times, keys: np.ndarray, minutes: float) -> np.ndarray:
    """Return (P, 2) int64 pairs that chain images of one key (N,) whose times differ by at most `minutes`.

    Times whose spans overlap count as equal: those of one date where one of them is no more than the date.
    """
    rows = np.flatnonzero(times.known)
    rows = rows[np.lexsort((rows, times.end[rows], times.start[rows], keys[rows]))]
    start, own = times.start[rows], keys[rows]
    # Where a key begins, no earlier image counts.
    until = pl.DataFrame({"key": own, "end": times.end[rows]}).select(pl.col("end").cum_max().over("key"))["end"]
    near = (start[1:] - start[:-1] <= _width(minutes)) | (start[1:] < until.to_numpy()[:-1])
    linked = np.flatnonzero(near & (own[1:] == own[:-1]))
    return np.stack([rows[linked], rows[linked + 1]], axis=1).astype(np.int64)


def pairs_within(times: Times, keys: np.ndarray, minutes: float) -> int:
    """Return how many pairs of images of one key (N,) have times that differ by at most `minutes`."""
    return sum(_pairs(times.start[rows], times.end[rows], _width(minutes)) for rows in _by_key(keys, times.known))


def straddling(times: Times, keys: np.ndarray, roles: np.ndarray, minutes: float) -> int:
    """Return how many of the pairs that `pairs_within` counts stand in two roles; roles: codes, int (N,)."""
    of_role = keys * (int(roles.max(initial=0)) + 1) + roles
    return pairs_within(times, keys, minutes) - pairs_within(times, of_role, minutes)


def _by_key(keys: np.ndarray, known: np.ndarray) -> Iterator[np.ndarray]:
    rows = np.flatnonzero(known)
    rows = rows[np.argsort(keys[rows], kind="stable")]
    yield from np.split(rows, np.flatnonzero(np.diff(keys[rows])) + 1)


def _pairs(start: np.ndarray, end: np.ndarray, width: int) -> int:
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    reach = np.maximum(start + width, end - 1)
    return int((np.searchsorted(start, reach, "right") - np.arange(len(start)) - 1).sum())


def _width(minutes: float) -> int:
    return round(minutes * 60_000_000)


def linked(manifest: pl.DataFrame, times: Times | None, by: Sequence[str], minutes: float | None) -> np.ndarray:
    """Return (P, 2) int64 pairs that chain images that agree in the columns `by` and were taken within `minutes`.

    minutes: None joins all images that agree, where `by` holds more than the identity; an image without one of the columns
    joins nothing then. times: of the rows, needed with `minutes`.
    """
    if times is not None and minutes is not None:
        return within_time(times, keys_of(manifest, by), minutes)
    if set(by) <= {"identity"}:
        return np.empty((0, 2), np.int64)
    return same(manifest, by)


def keys_of(manifest: pl.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Return a number for each row, equal where the columns are: int64 (N,). A null is a value of its own."""
    if not columns:
        return np.zeros(len(manifest), np.int64)
    return manifest.select(pl.struct(columns).rank("dense").cast(pl.Int64)).to_series().to_numpy()


def same(manifest: pl.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Return (P, 2) int64 pairs that link each row with the first one of the same `columns`, none of which is null."""
    rows = manifest.select(columns).with_row_index("row").drop_nulls()
    first = rows.select("row", first=pl.col("row").first().over(columns)).filter(pl.col("row") != pl.col("first"))
    return first.select("first", "row").to_numpy().astype(np.int64).reshape(-1, 2)


def adjacent_numbers(manifest: pl.DataFrame, apart: int) -> np.ndarray:
    """Return (P, 2) int64 pairs that chain images of one identity and folder whose names differ in their last number alone.

    `IMG_0412.jpg` and `IMG_0413.jpg` are 1 apart.
    """
    found = []
    for row, (identity, path) in enumerate(manifest.select("identity", "path").iter_rows()):
        match = _last_number(PurePosixPath(path).stem)
        if match:
            found.append((identity, PurePosixPath(path).parent.as_posix(), match[0], match[2], match[1], row))
    found.sort()
    linked = [
        (one[-1], other[-1]) for one, other in pairwise(found) if one[:4] == other[:4] and other[4] - one[4] <= apart
    ]
    return np.asarray(linked, np.int64).reshape(-1, 2)


def _last_number(stem: str) -> tuple[str, int, str] | None:
    """Return what stands before the last number of a name, the number, and what stands behind it."""
    match = _LAST_NUMBER.search(stem)
    return (stem[: match.start()], int(match[1]), match[2]) if match else None
