"""Findings of an experiment on geometries."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.geometry import FIGURES
from reidflow.analyses.geometry.tables import ARMS
from reidflow.spec.run import HYPERSPHERE
from reidflow.tables.layout import block
from reidflow.tables.sections import Section, render, sections_of

CROWDED = 0.9
"""From this share of embeddings at the limit of their radius on, the space is a sphere in all but name."""
SAME = 0.0005
"""A smaller difference in mAP is not seen with three decimals."""
STABILITY, RANKING, ORIGIN, TREES = (
    "Stability of the spaces",
    "Ranked by their distance, and by the cosine",
    "Distance from the origin",
    "How tree-like",
)
_STABILITY = (
    "arm", "geometry", "clip", "divergence", "clipped", "gradient_norm_max", "curvature", "learned", "curvature_low",
    "curvature_high",
)  # fmt: skip
_RANKING = ("arm", "id_map", "id_map_cosine", "runs", "cosine_better")
_ORIGIN = (
    "arm", "radius", "radius_spread", "sharpness", "sharpness_interval", "rarity", "rarity_interval", "gromov_delta",
)  # fmt: skip
Row = dict[str, Any]


def sections(arms: pl.DataFrame, features: Mapping[str, float] | None) -> list[Section]:
    """Return the sections of the findings, from the table ARMS and the `feature_deltas` of the frozen features."""
    rows = [row for row in arms.to_dicts() if row["runs"]]
    limited = [row for row in rows if row["clipped"] is not None]
    gradients = [row for row in rows if row["gradient_norm_max"] is not None]
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        diverged=[row for row in rows if row["divergence"]],
        gradients=sorted(gradients, key=lambda row: row["gradient_norm_max"]) if len(gradients) > 1 else [],
        crowded=[row for row in limited if row["clipped"] >= CROWDED],
        free=[row for row in limited if row["clipped"] < CROWDED],
        crowded_share=CROWDED,
        learned=[row for row in rows if row["learned"] and row["curvature_low"] is not None],
        cosine=by_cosine(rows),
        same=f"{SAME:g}",
        origin={of: correlated(rows, of) for of in ("sharpness", "rarity")},
        features=features,
        trained=[row for row in rows if row["gromov_delta"] is not None],
    )
    tables = {
        STABILITY: [block("Spaces and their stability", rows, _STABILITY, ARMS)],
        RANKING: [block("The same embeddings, ranked in two ways", rows, _RANKING, ARMS)],
        ORIGIN: [block("Distance of test images from the origin", rows, _ORIGIN, ARMS)],
    }
    figures = {RANKING: "geodesic", ORIGIN: "radii", TREES: "projections"}
    return sections_of(text, tables, {title: {name: FIGURES[name]} for title, name in figures.items()})


def by_cosine(rows: list[Row]) -> dict[str, list[Row]]:
    """Return the arms in other spaces than the hypersphere whose mAP the cosine changes (`different`) and does not (`same`).

    The arm that gains most by the cosine comes first.
    """
    known = [row for row in rows if row["radius"] is not None and row["id_map"] is not None]
    others = [row for row in known if row["geometry"] != HYPERSPHERE["name"]]
    different = [row for row in others if abs(row["id_map_cosine"] - row["id_map"]) >= SAME]
    return {
        "different": sorted(different, key=lambda row: row["id_map"] - row["id_map_cosine"]),
        "same": [row for row in others if row not in different],
    }


def correlated(rows: list[Row], of: str) -> dict[str, Any]:
    """Return the arms whose interval of a correlation (sharpness, rarity) lies above zero (`farther`) or below (`nearer`).

    known: whether any arm has that correlation.
    """
    known = [row for row in rows if row[f"{of}_low"] is not None and row[f"{of}_high"] is not None]
    return {
        "farther": [row for row in known if row[f"{of}_low"] > 0],
        "nearer": [row for row in known if row[f"{of}_high"] < 0],
        "known": any(row[of] is not None for row in rows),
    }
