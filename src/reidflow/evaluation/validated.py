"""Top-k accuracies of runs on the validation images, by which a model may be chosen."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from reidflow.evaluation.arm import Layout, Made, asked
from reidflow.store.tables import Contract

_SCORES = ("top1", "top5", "top10", "id_map")
VALIDATED = Contract(
    "validation of runs",
    {"arm": pl.String, "seed": pl.Int64, "queries": pl.Int64, **dict.fromkeys(_SCORES, pl.Float64)},
    nullable=frozenset(_SCORES),
)


def validate_runs(
    runs: Iterable[Made],
    split: pl.DataFrame,
    manifest: pl.DataFrame,
    gallery: str,
    mirrored: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return VALIDATED, a row a run in their order; without any validation image that asks, no rows.

    split, manifest, gallery, mirrored: as in `evaluate_runs`. The embeddings are those of the weights that the run kept.
    """
    layout = Layout(split, manifest, gallery, role="val")
    if not len(layout.query):
        return VALIDATED.empty()
    found: dict[tuple, dict[str, float | int | None]] = {}
    for run in (runs := list(runs)):
        if run.scored_as not in found:
            found[run.scored_as] = _scores(layout, run, mirrored)
    rows = [{"arm": run.arm, "seed": run.seed, **found[run.scored_as]} for run in runs]
    return pl.DataFrame(rows, schema=VALIDATED.columns)


def _scores(layout: Layout, run: Made, mirrored: pl.DataFrame | None) -> dict[str, float | int | None]:
    values, _ = layout.score(asked(layout, run, mirrored))
    told = {name: None if np.isnan(values[name]) else values[name] for name in _SCORES}
    return {"queries": values["queries"], **told}
