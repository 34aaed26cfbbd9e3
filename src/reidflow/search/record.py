"""The record of a study: what every worker on it writes at its end, all the same."""

import math
from typing import Any


def means_of(finalists: list[dict[str, Any]]) -> dict[int, float]:
    """Return trial -> mean over the sweep's seeds."""
    values: dict[int, list[float]] = {}
    for run in finalists:
        values.setdefault(run["trial"], []).append(run["value"])
    return {trial: math.fsum(found) / len(found) for trial, found in values.items()}


def spent(record: dict[str, Any]) -> int:
    """Return the optimizer steps of all trials of a record; those of its finalists come on top."""
    return sum(trial["steps"] for trial in record["trials"])
