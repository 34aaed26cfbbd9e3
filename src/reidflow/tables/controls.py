"""Arms against their own controls: whether what was done is better than doing as much at random."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from reidflow.spec.experiment import Experiment
from reidflow.tables.arms import EvaluatedArm
from reidflow.tables.comparisons import LEVEL, Paired, judge, pair

INCONCLUSIVE, UNAVAILABLE = "inconclusive", "unavailable"
AGAINST: dict[str, Any] = {
    "against": pl.String,  # the arm that is this arm's control; null where it names none
    "against_delta": pl.Float64,
    "against_low": pl.Float64,
    "against_high": pl.Float64,
    "against_p_holm": pl.Float64,
    "against_verdict": pl.String,
    "against_smallest_detectable": pl.Float64,
}


def against_controls(
    experiment: Experiment, arms: Mapping[str, EvaluatedArm], said: Mapping[str, Paired], level: float = LEVEL
) -> dict[str, dict[str, Any]]:
    """Return the columns AGAINST, and a note, of every arm that names a control.

    Paired by identity and seed as with the baseline, corrected (Holm) over the arms that name a control: a family of
    their own. arms: those that were run. said: their comparisons with the baseline, whose notes are not repeated.
    """
    controls = {name: arm.against for name, arm in experiment.arms.items() if arm.against is not None}
    pairs = {
        name: pair(arms[name], arms[control])
        for name, control in controls.items()
        if name in arms and control in arms and name != control
    }
    verdicts = judge(pairs, level)
    rows = {}
    for name, control in controls.items():
        row: dict[str, Any] = {"against": control, "against_verdict": UNAVAILABLE, "note": ""}
        if name in pairs:
            known = said[name].notes if name in said else ()
            row |= {
                "against_delta": pairs[name].delta,
                "against_verdict": INCONCLUSIVE,
                "note": "; ".join(f"against '{control}': {note}" for note in pairs[name].notes if note not in known),
            }
        if name in verdicts:
            found = verdicts[name]
            row |= {
                "against_low": found.low,
                "against_high": found.high,
                "against_p_holm": found.p_holm,
                "against_verdict": found.verdict,
                "against_smallest_detectable": found.smallest_detectable,
            }
        rows[name] = row
    return rows


def controlled(results: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a results table that name a control."""
    return results.filter(pl.col("against").is_not_null())
