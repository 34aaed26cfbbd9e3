"""The tables of ranking by local features: what each arm adds, and how many keypoints the images have."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from reidflow.spec.experiment import Experiment
from reidflow.spec.ranking import EMBEDDING, LocalScore, Ranking
from reidflow.store.tables import Column, Contract
from reidflow.tables.columns import column, columns
from reidflow.tables.text import NOISE

_S, _I, _F = pl.String, pl.Int64, pl.Float64
_RESULT = (
    "val_id_map", "id_map", "id_map_std", "delta", "delta_low", "delta_high", "p_adjusted", "smallest_detectable", "top1", "top5",
)  # fmt: skip
MATCHING = Contract(
    "ranking of arms",
    [
        *columns("experiment", "arm", "baseline"),
        Column("scores", _S, "scores", "text", "By what candidates are ranked, in the order of the config."),
        Column("shortlist", _I, "shortlist", "count",
               "Candidates of each query that the scores after the first rank again; none: all.", nullable=True),
        Column("fusion", _S, "fusion", "text", "How several scores become one.", nullable=True),
        Column("weights", pl.List(_F), "weights", "numbers",
               "Weights of the scores, in their order, chosen on validation unless the config gives them; of the first seed.", nullable=True),
        *columns(*_RESULT, "interval"),
        column("verdict").but(nullable=True),
        *columns("ties_with_best"),
        Column("compared", _I, "queries", "count", "Queries of all seeds that both the arm and the baseline score."),
        Column("found", _I, "first gained", "count", "Those whose first candidate is a positive with this arm alone."),
        Column("lost", _I, "first lost", "count", "Those whose first candidate is a positive with the baseline alone."),
        Column("better", _I, "better", "count", "Those that have a higher average precision than with the baseline."),
        Column("worse", _I, "worse", "count", "Those that have a lower average precision than with the baseline."),
    ],
)  # fmt: skip
KEYPOINTS = Contract(
    "keypoints of images",
    [
        Column("matcher", _S, "matcher", "text", "Local features."),
        Column("size", _I, "size", "count", "Side of the square that the matcher sees, pixels.", nullable=True),
        Column("dim", _I, "dimensions", "count", "Dimensions of a descriptor."),
        Column("images", _I, "images", "count", "Images of the data set."),
        Column("keypoints", _F, "keypoints", "count", "Keypoints of an image, median."),
        Column("keypoints_low", _F, "lower quartile", "count", "Their lower quartile."),
        Column("keypoints_high", _F, "upper quartile", "count", "Their upper quartile."),
        Column("without", _I, "images without", "count", "Images without a keypoint."),
    ],
)


def score_name(score: str | LocalScore) -> str:
    """Return what a score is called: `embedding`, `rootsift lnbnn`."""
    if score == EMBEDDING:
        return EMBEDDING
    return " ".join(part["name"].rpartition(".")[2] for part in (score.matcher, score.compare))


def described(ranking: Ranking | None) -> dict[str, Any]:
    """Return what a ranking is: scores, shortlist, fusion. None: the embedding alone."""
    if ranking is None:
        return {"scores": EMBEDDING, "shortlist": None, "fusion": None}
    several = len(ranking.scores) > 1
    return {
        "scores": ", ".join(map(score_name, ranking.scores)),
        "shortlist": ranking.shortlist if several else None,
        "fusion": ranking.fusion if several else None,
    }


def matching_table(
    experiment: Experiment,
    rankings: Mapping[str, Ranking | None],
    weights: Mapping[str, Sequence[float]],
    results: pl.DataFrame,
    per_query: pl.DataFrame,
) -> pl.DataFrame:
    """Return MATCHING, a row per arm that was run, in the order of the experiment.

    rankings: arm -> how it ranks. weights: arm -> those of its scores. results, per_query: RESULTS and
    PER_QUERY of the experiment.
    """
    scores = {row["arm"]: row for row in results.to_dicts()}
    baseline = _scored(per_query, experiment.file.baseline)
    rows = []
    for name in [name for name in experiment.arms if name in rankings]:
        own = scores.get(name, {})
        rows.append(
            {
                "experiment": experiment.name,
                "arm": name,
                "baseline": name == experiment.file.baseline,
                **described(rankings[name]),
                "weights": weights.get(name),
                **{column: own.get(column) for column in (*_RESULT, "verdict")},
                "ties_with_best": bool(own.get("ties_with_best")),
                **_changes(_scored(per_query, name), baseline),
            }
        )
    return pl.DataFrame(rows, schema=MATCHING.columns)


def _scored(per_query: pl.DataFrame, arm: str) -> pl.DataFrame:
    own = per_query.filter((pl.col("arm") == arm) & pl.col("ap").is_finite())
    return own.select("seed", "image", "ap", first=pl.col("first_hit") == 1)


def _changes(own: pl.DataFrame, baseline: pl.DataFrame) -> dict[str, int]:
    paired = own.join(baseline, on=["seed", "image"], how="inner", validate="1:1", suffix="_before")
    change = pl.col("ap") - pl.col("ap_before")
    counted = paired.select(
        compared=pl.len(),
        found=(pl.col("first") & ~pl.col("first_before")).sum(),
        lost=(~pl.col("first") & pl.col("first_before")).sum(),
        better=(change > NOISE).sum(),
        worse=(change < -NOISE).sum(),
    )
    return {name: int(value) for name, value in counted.row(0, named=True).items()}


def keypoints_table(counts: Mapping[str, np.ndarray], facts: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """Return KEYPOINTS, a row per bank of local features. counts: bank -> keypoints of each image. facts: bank -> its facts."""
    rows = []
    for name, count in counts.items():
        low, middle, high = np.quantile(count, [0.25, 0.5, 0.75]).tolist()
        matcher = facts[name]["matcher"]
        rows.append(
            {
                "matcher": matcher["name"].rpartition(".")[2],
                "size": matcher.get("size"),
                "dim": facts[name]["dim"],
                "images": len(count),
                "keypoints": middle,
                "keypoints_low": low,
                "keypoints_high": high,
                "without": int((count == 0).sum()),
            }
        )
    return pl.DataFrame(rows, schema=KEYPOINTS.columns)
