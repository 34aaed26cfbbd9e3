"""Whether the author's interpretation still fits the table that it was written for.

What counts as a change is what the statistics call one: another machine moves the means of trained networks within their
uncertainty, and an interpretation survives that (`docs/running.md`).
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from reidflow.spec.experiment_file import Interpretation
from reidflow.tables.quantities import beside

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
EDGE = 1 / 3
"""Share of an interval's half width within which its end counts as touching zero."""
_VERDICT, _OF_QUANTITIES = ": verdict", (": value", ": delta", ": delta_low", ": delta_high")
"""How the columns of headline quantities end."""
_UNSCORED = "none"
_DECIDED = ("better", "worse")
_CLOSE = {*_DECIDED, "equivalent", "inconclusive"}
"""Verdicts that more certainty may turn into each other, but `better` into `worse`."""
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
    """Return what an interpretation records of its table: arm -> id_map with three decimals, and verdict.

    results: RESULTS, beside its headline quantities (`quantities.beside`) where it has any: their verdicts follow.
    """
    return {row["arm"]: f"{_written(row['id_map'])} {', '.join(_verdicts(row).values())}" for row in results.to_dicts()}


def _written(id_map: float | None) -> str:
    return _UNSCORED if id_map is None else f"{id_map:.3f}"


def _verdicts(row: Row) -> dict[str, str]:
    """Return the verdicts of a row, '' for that on the mAP, else by the quantity, with its name before it."""
    own = {name.removesuffix(_VERDICT): name for name in row if name.endswith(_VERDICT) and row[name] is not None}
    return {"": row["verdict"], **{quantity: f"{quantity} {row[name]}" for quantity, name in own.items()}}


def stamped_numbers(text: str, results: pl.DataFrame) -> dict[str, str]:
    """Return the numbers of a text that the table holds, at two decimals or more: as written -> `arm column` of the cell,
    `arm -column` where it is the size of a negative value.

    A number is a cell's where it is the cell's at its own digits and the sentence names the arm, or where it has three
    decimals and no other cell holds it. Other numbers, such as those of other tables, are left out.
    """
    rows = results.to_dicts()
    columns = [*_CELLS, *(name for name in results.columns if name.endswith(_OF_QUANTITIES))]
    found: dict[str, str] = {}
    for sentence, written in _numbers(text):
        cells = [
            (row["arm"], column, sign)
            for row in rows
            for column in columns
            if row.get(column) is not None
            for sign in ([1] if written[0] in "+-" else [1, -1])
            if abs(float(written) - sign * row[column]) <= _half_unit(written)
        ]
        named = [cell for cell in cells if len(cell[0]) > 1 and f" {_plain(cell[0])} " in f" {_plain(sentence)} "]
        named.sort(key=lambda cell: (columns.index(cell[1]), -len(cell[0])))
        if named or (len(cells) == 1 and len(written.partition(".")[2]) >= _SURE):
            arm, column, sign = (named or cells)[0]
            found.setdefault(written, f"{arm} {'-' if sign < 0 else ''}{column}")
    return found


def unheld_numbers(text: str, results: pl.DataFrame) -> list[str]:
    """Return the numbers of a text, at two decimals or more, that the table is not known to hold."""
    held = stamped_numbers(text, results)
    return list(dict.fromkeys(written for _, written in _numbers(text) if written not in held))


def reading(
    interpretations: list[Interpretation], dataset: str, results: pl.DataFrame, quantities: pl.DataFrame | None = None
) -> Reading:
    """Return the interpretation of data set `dataset` and whether it fits the table.

    results: RESULTS. quantities: QUANTITIES of its headline, where they do not stand beside it yet.
    It is stale when the arms differ; when a verdict that it leans on differs by more than an interval that all but touches
    zero or the margin of equivalence (within EDGE of its half width), or any turned into its opposite (an inconclusive one
    that is now equivalent still bears the text out); when an
    id_map, or a number that the text repeats from the table, moved by more than its own uncertainty.
    """
    own = [entry for entry in interpretations if entry.dataset == dataset]
    if not own:
        return Reading("of another data set" if interpretations else "missing", (), "")
    table = results if quantities is None else beside(results, quantities)[0]
    reasons = tuple(_changes(own[0], table))
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
        old_map, _, old_verdicts = before[arm].strip().partition(" ")
        changes += _other_verdicts(old_verdicts, row, entry.leans_on is None or arm in entry.leans_on)
        if _moved(old_map, row):
            changes.append(f"arm '{arm}' had an id_map of {old_map} and has {_written(row['id_map'])}")
    return changes + list(_numbers_that_moved(entry, rows))


def _other_verdicts(before: str, row: Row, leaned_on: bool) -> list[str]:
    """Return a sentence for every verdict of an arm that changed; quantities that were not stamped are left out."""
    own, *others = (each.strip() for each in before.split(", "))
    known = {"": own, **{each.rpartition(" ")[0]: each for each in others}}
    now = _verdicts(row)
    return [
        f"arm '{row['arm']}' was {known[name] or 'without verdict'} and is {now[name]}"
        for name in known
        if name in now
        and _turned(known[name].rpartition(" ")[2], now[name].rpartition(" ")[2], leaned_on and not _on_edge(row, name))
    ]


def _on_edge(row: Row, quantity: str) -> bool:
    """Return whether an interval ends so near to zero, or to the margin, that another machine may see it on the other side."""
    low, high = (row.get(f"{quantity}: {end}" if quantity else end) for end in ("delta_low", "delta_high"))
    if low is None or high is None:
        return False
    margin = row.get("margin") or math.inf
    return min(abs(low), abs(high), abs(low + margin), abs(high - margin)) <= EDGE * (high - low) / 2


def _turned(before: str, now: str, leaned_on: bool) -> bool:
    """Return whether a verdict changed: any change where the text leans on it, else only what is no matter of noise."""
    if (before, now) == ("inconclusive", "equivalent"):
        return False
    if leaned_on or not {before, now} <= _CLOSE:
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
        arm = max((name for name in rows if cell.startswith(f"{name} ")), key=len, default=None)
        if arm is None or number not in written:
            continue
        named, row = cell.removeprefix(f"{arm} "), rows[arm]
        column, sign = named.removeprefix("-"), -1 if named.startswith("-") else 1
        value = row.get(column)
        if value is None:
            yield f"the text says {number}, and {column} of '{arm}' has no value"
        elif abs(float(number) - sign * value) > _half_unit(number) + _uncertainty(row, column, rows):
            yield f"the text says {number}, and {column} of '{arm}' is {value:.3f}"


def _uncertainty(row: Row, column: str, rows: Mapping[str, Row] | None = None) -> float:
    """Return by how much a value may move without being called another one.

    rows: all of the table, for the baseline's value of a quantity, which has no interval of its own: the widest counts.
    """
    quantity, separator, _ = column.rpartition(": ")
    if separator:
        ends = [
            [each.get(f"{quantity}: delta_{end}") for end in ("low", "high")] for each in (row, *(rows or {}).values())
        ]
        widths = [high - low for low, high in ends if low is not None and high is not None]
        own = widths[:1] if ends[0][0] is not None else widths
        return max(TOLERANCE, ENDS * max(own, default=0.0))
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
