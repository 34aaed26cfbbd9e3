"""Whether the author's interpretation still fits the table that it was written for.

What counts as a change is what the statistics call one: another machine moves the means of trained networks within their
uncertainty, and an interpretation survives that (`docs/running.md`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from reidflow.spec.experiment_file import Interpretation

TOLERANCE = 0.02
"""By this much a number may move in any case: machines differ in the last bits of sums, and training enlarges them."""
ERRORS = 3.0
"""By this many of its own standard errors over training seeds it may move: two means of as many seeds seldom differ by more."""
ENDS = 0.25
"""By this share of the width of an interval its ends may move, and a detectable difference by this share of itself."""
State = Literal["fits", "stale", "missing", "of another data set"]
DELTAS = ("delta", "against_delta")
LIMITS = (
    "delta_low",
    "delta_high",
    "against_low",
    "against_high",
    "smallest_detectable",
    "against_smallest_detectable",
)
_CELLS = ("id_map", *DELTAS, *LIMITS, "val_id_map", "id_map_std")
"""Columns of RESULTS that a number in the text may repeat, the likeliest first."""
_UNSCORED = "none"
_DECIDED = ("better", "worse")
_NUMBER = re.compile(r"(?<![\w.])([+\u2212-]?)(\d+\.\d{2,})(?![\w.]*\d|\w)")
_SURE = 3
"""Of a number with as many decimals one cell alone is the source, whether or not the sentence names its arm."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """The interpretation that belongs to a table: its state, why it is stale, its text ('' where there is none), and
    whether its author finds that the hypothesis held."""

    state: State
    reasons: tuple[str, ...]
    text: str
    held: str | None = None


def stamped(results: pl.DataFrame) -> dict[str, str]:
    """Return what an interpretation records of its table: arm -> id_map with three decimals, and verdict."""
    rows = results.select("arm", "id_map", "verdict").iter_rows()
    return {arm: f"{_UNSCORED if id_map is None else f'{id_map:.3f}'} {verdict}" for arm, id_map, verdict in rows}


def stamped_numbers(text: str, results: pl.DataFrame) -> dict[str, str]:
    """Return the numbers of a text that the table holds, at two decimals or more: as written -> `arm column` of the cell,
    `arm -column` where it is the size of a negative value.

    A number is a cell's where it is the cell's at its own digits and the sentence names the arm, or where it has three
    decimals and no other cell holds it. Other numbers, such as those of other tables, are left out.
    """
    rows = results.to_dicts()
    found: dict[str, str] = {}
    for sentence, written in _numbers(text):
        cells = [
            (row["arm"], column, sign)
            for row in rows
            for column in _CELLS
            if row.get(column) is not None
            for sign in ([1] if written[0] in "+-" else [1, -1])
            if abs(float(written) - sign * row[column]) <= _half_unit(written)
        ]
        named = [cell for cell in cells if len(cell[0]) > 1 and f" {_plain(cell[0])} " in f" {_plain(sentence)} "]
        named.sort(key=lambda cell: (_CELLS.index(cell[1]), -len(cell[0])))
        if named or (len(cells) == 1 and len(written.partition(".")[2]) >= _SURE):
            arm, column, sign = (named or cells)[0]
            found.setdefault(written, f"{arm} {'-' if sign < 0 else ''}{column}")
    return found


def unheld_numbers(text: str, results: pl.DataFrame) -> list[str]:
    """Return the numbers of a text, at two decimals or more, that the table is not known to hold."""
    held = stamped_numbers(text, results)
    return list(dict.fromkeys(written for _, written in _numbers(text) if written not in held))


def reading(interpretations: list[Interpretation], dataset: str, results: pl.DataFrame) -> Reading:
    """Return the interpretation of data set `dataset` and whether it fits the table.

    It is stale when the arms differ; when a verdict that it leans on differs, or any turned into its opposite; when an
    id_map, or a number that the text repeats from the table, moved by more than its own uncertainty.
    """
    own = [entry for entry in interpretations if entry.dataset == dataset]
    if not own:
        return Reading("of another data set" if interpretations else "missing", (), "")
    reasons = tuple(_changes(own[0], results))
    return Reading("stale" if reasons else "fits", reasons, own[0].text.strip(), own[0].held)


def _changes(entry: Interpretation, results: pl.DataFrame) -> list[str]:
    """Return a sentence for everything that changed since the interpretation was written."""
    before, rows = entry.table, {row["arm"]: row for row in results.to_dicts()}
    if not before:
        return ["it was never stamped with the table it speaks of"]
    changes = [f"arm '{arm}' is gone" for arm in before if arm not in rows]
    for arm, row in rows.items():
        if arm not in before:
            changes.append(f"arm '{arm}' is new")
            continue
        old_map, _, old_verdict = before[arm].strip().partition(" ")
        if _turned(old_verdict.strip(), row["verdict"], entry.leans_on is None or arm in entry.leans_on):
            changes.append(f"arm '{arm}' was {old_verdict.strip() or 'without verdict'} and is {row['verdict']}")
        if _moved(old_map, row):
            now = _UNSCORED if row["id_map"] is None else f"{row['id_map']:.3f}"
            changes.append(f"arm '{arm}' had an id_map of {old_map} and has {now}")
    return changes + list(_numbers_that_moved(entry, rows))


def _turned(before: str, now: str, leaned_on: bool) -> bool:
    """Return whether a verdict changed: any change where the text leans on it, else only what is no matter of noise."""
    if leaned_on or not {before, now} <= {*_DECIDED, "inconclusive"}:
        return before != now
    return {before, now} == set(_DECIDED)


def _moved(before: str, row: Row) -> bool:
    try:
        value = float(before)
    except ValueError:
        return before != _UNSCORED or row["id_map"] is not None
    return row["id_map"] is None or not abs(value - row["id_map"]) <= _uncertainty(row, "id_map") + 1e-9


def _numbers_that_moved(entry: Interpretation, rows: dict[str, Row]) -> Iterator[str]:
    """Return a sentence for every number of the text that the table no longer holds."""
    written = {number for _, number in _numbers(entry.text)}
    for number, cell in entry.numbers.items():
        arm, _, named = cell.rpartition(" ")
        row, column, sign = rows.get(arm), named.removeprefix("-"), -1 if named.startswith("-") else 1
        if row is None or number not in written:
            continue
        value = row.get(column)
        if value is None:
            yield f"the text says {number}, and {column} of '{arm}' has no value"
        elif abs(float(number) - sign * value) > _half_unit(number) + _uncertainty(row, column):
            yield f"the text says {number}, and {column} of '{arm}' is {value:.3f}"


def _uncertainty(row: Row, column: str) -> float:
    """Return by how much a value may move without being called another one."""
    error = (row.get("id_map_std") or 0.0) / max(row.get("seeds") or 1, 1) ** 0.5
    if column in LIMITS or column in DELTAS:
        low, high = ("against_low", "against_high") if column.startswith("against") else ("delta_low", "delta_high")
        known = row.get(low) is not None and row.get(high) is not None
        part = ENDS * (row[high] - row[low]) if known else 0.0
        return max(TOLERANCE, part, ENDS * abs(row[column]) if "detectable" in column else 0.0, ERRORS * error)
    return max(TOLERANCE, ERRORS * error)


def _numbers(text: str) -> Iterator[tuple[str, str]]:
    """Return (its sentence, number as written) of every number of a text with two decimals or more."""
    for sentence in re.split(r"(?<=[.;!?])\s+|\n\s*\n", text):
        for sign, digits in _NUMBER.findall(sentence):
            yield sentence, f"{'-' if sign == chr(0x2212) else sign}{digits}"


def _half_unit(written: str) -> float:
    """Return half a unit of a number's last digit."""
    return 0.5 * 10 ** -len(written.partition(".")[2]) + 1e-9


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.lower()).strip()
