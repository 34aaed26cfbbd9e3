"""Whether the author's interpretation still fits the table that it was written for."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from reidflow.spec.experiment_file import Interpretation

TOLERANCE = 0.02  # machines differ in the last bits of sums, and training enlarges them
State = Literal["fits", "stale", "missing", "of another data set"]
_UNSCORED = "none"


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


def reading(interpretations: list[Interpretation], dataset: str, results: pl.DataFrame) -> Reading:
    """Return the interpretation of data set `dataset` and whether it fits the table.

    It is stale when the arms or a verdict differ, or an id_map moved by more than TOLERANCE: numbers that differ only as
    two machines' do leave it as it is.
    """
    own = [entry for entry in interpretations if entry.dataset == dataset]
    if not own:
        return Reading("of another data set" if interpretations else "missing", (), "")
    reasons = tuple(_changes(own[0].table, results))
    return Reading("stale" if reasons else "fits", reasons, own[0].text.strip(), own[0].held)


def _changes(before: dict[str, str], results: pl.DataFrame) -> list[str]:
    """Return a sentence for everything that changed since the interpretation was written."""
    if not before:
        return ["it was never stamped with the table it speaks of"]
    changes = [f"arm '{arm}' is gone" for arm in before if arm not in set(results["arm"])]
    for arm, id_map, verdict in results.select("arm", "id_map", "verdict").iter_rows():
        if arm not in before:
            changes.append(f"arm '{arm}' is new")
            continue
        old_map, _, old_verdict = before[arm].strip().partition(" ")
        if old_verdict.strip() != verdict:
            changes.append(f"arm '{arm}' was {old_verdict.strip() or 'without verdict'} and is {verdict}")
        if _moved(old_map, id_map):
            now = _UNSCORED if id_map is None else f"{id_map:.3f}"
            changes.append(f"arm '{arm}' had an id_map of {old_map} and has {now}")
    return changes


def _moved(before: str, now: float | None) -> bool:
    try:
        value = float(before)
    except ValueError:
        return before != _UNSCORED or now is not None
    return now is None or not abs(value - now) <= TOLERANCE + 1e-9
