"""The choice of tuned settings: by the mean validation mAP over sweep seeds, the same rule for every arm."""

import json
import math
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.spec.canonical import canonical
from reidflow.store.runs import RunStore


def choose(
    grid: dict[str, list], arms: dict[str, list[list]], job_files: list[str], results: Path
) -> dict[str, dict[str, Any]]:
    """Return for each arm the chosen values with the mean validation mAP at every point of the grid.

    grid: dotted path -> values; arms: arm -> [values, spec with seed 0] at every point; job_files: what the sweep's
    jobs wrote. Arms without a run (their weights could not be had) are left out. A diverged run counts as 0. Ties go to
    the point that stands first in the grid. `on_edge` tells for each setting whether the chosen value is the first or
    last of a grid of several, of which not all give the same.
    """
    store = RunStore(results / ".store")
    seen: dict[str, dict[int, float]] = {}
    for file in job_files:
        for run in json.loads(Path(file).read_text())["runs"]:
            spec = {**run["spec"], "seed": 0}
            seen.setdefault(canonical(spec), {})[run["seed"]] = _validation(store.folder(run["key"]))
    tried = {arm: points for arm, points in arms.items() if canonical(points[0][1]) in seen}
    return {arm: _choice(grid, points, seen) for arm, points in tried.items()}


def _choice(grid: dict[str, list], points: list[list], seen: dict[str, dict[int, float]]) -> dict[str, Any]:
    rows = []
    for values, spec in points:
        seeds = seen[canonical(spec)]
        mean = math.fsum(seeds.values()) / len(seeds)
        rows.append({"values": values, "val_id_map": mean, "seeds": {str(s): seeds[s] for s in sorted(seeds)}})
    best = max(rows, key=lambda row: row["val_id_map"])
    matters = len({row["val_id_map"] for row in rows}) > 1
    on_edge = {
        path: matters and len(values) > 1 and best["values"][path] in (values[0], values[-1])
        for path, values in grid.items()
    }
    return {"values": best["values"], "points": rows, "on_edge": on_edge}


def _validation(folder: Path) -> float:
    """Return the validation mAP of the checkpoint that a run kept."""
    provenance = json.loads((folder / "provenance.json").read_text())
    if provenance["diverged"]:
        return 0.0
    history = pl.read_parquet(folder / "history.parquet")
    return float(history.filter(pl.col("epoch") == provenance["best_epoch"])["val_id_map"][0])
