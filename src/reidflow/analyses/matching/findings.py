"""The findings on ranking by local features: what each arm adds, at what cost, and how many keypoints there are."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.matching import FIGURES, SHEETS
from reidflow.analyses.matching.cost import COST
from reidflow.analyses.matching.tables import KEYPOINTS, MATCHING
from reidflow.tables.layout import block
from reidflow.tables.sections import Section, render, sections_of

ADDED, WHY, KEYPOINTS_OF = "What local features add", "Matched keypoints", "Keypoints"
_ARMS = (
    "arm", "scores", "shortlist", "fusion", "weights", "id_map", "delta", "interval", "verdict", "top1", "found", "lost",
)  # fmt: skip


def sections(
    table: pl.DataFrame,
    keypoints: pl.DataFrame,
    pairs: pl.DataFrame,
    costs: pl.DataFrame,
    shown: dict[str, Any] | None,
    local: Collection[str],
) -> list[Section]:
    """Return the sections of the findings, from MATCHING, KEYPOINTS, PAIRS and COST.

    shown: the arm of the sheets. local: arms that rank by local features, which alone the statements compare with the
    baseline: an experiment may have others.
    """
    rows = table.to_dicts()
    changed = [row for row in rows if row["arm"] in local and not row["baseline"] and row["delta"] is not None]
    if not changed:
        return []
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        baseline=next(row for row in rows if row["baseline"]),
        by_verdict={
            verdict: [row for row in changed if row["verdict"] == verdict]
            for verdict in ("better", "worse", "equivalent")
        },
        other=[row for row in changed if row["verdict"] not in ("better", "worse", "equivalent")],
        shown=shown,
        right=_matches(pairs, right=True),
        wrong=_matches(pairs, right=False),
        keypoints=keypoints.to_dicts(),
    )
    blocks = [block("Ranking", table, _ARMS, MATCHING), block("Cost of a query", costs, _COST, COST)]
    figures = {ADDED: FIGURES, WHY: SHEETS}
    return sections_of(text, {ADDED: blocks, KEYPOINTS_OF: [block("Keypoints", keypoints, KEYPOINTS)]}, figures)


_COST = ("arm", "gallery", "candidates", "features_ms", "search_ms", "compare_ms", "query_ms")


def _matches(pairs: pl.DataFrame, right: bool) -> dict[str, Any]:
    """Return how many pairs of the sheets show one individual (or two), the median of their matches and of their score."""
    own = pairs.filter(pl.col("right") == right)
    return {"pairs": len(own), "matches": own["matches"].median(), "local": own["local"].median()}
