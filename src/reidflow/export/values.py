"""What other tools receive of a run: its settings, its curves and its scores, each under one name everywhere."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from reidflow.spec.merge import flatten

TEST = (
    *("id_map", "id_map_unfiltered", "id_map_untrained", "chance", "map", "top1", "top5", "top10", "map_at_r"),
    *("nmi", "intra", "inter"),
)
"""Columns of the metrics of runs that are scores on the test images."""


def settings(spec: Mapping[str, Any]) -> dict[str, bool | float | str]:
    """Return dotted path -> value of a plain run spec; lists, null and empty mappings as JSON."""
    found = dict(flatten(dict(spec)))
    return {path: v if isinstance(v, bool | int | float | str) else json.dumps(v) for path, v in found.items()}


def curves(history: pl.DataFrame) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield each epoch of a run's history with its values that are not null: `val/id_map`, and `train/` before the others."""
    names = {name: "val/id_map" if name == "val_id_map" else f"train/{name}" for name in history.columns}
    for row in history.iter_rows(named=True):
        yield row["epoch"], {names[key]: float(v) for key, v in row.items() if key != "epoch" and v is not None}


def scores(metrics: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
    """Return the epoch whose weights a run kept, and its scores on the test images, from its row of the metrics."""
    return metrics["best_epoch"], {f"test/{name}": metrics[name] for name in TEST if metrics[name] is not None}
