"""Others' figures beside ours: what stands behind them, and how much of them is noise."""

from collections.abc import Mapping

import polars as pl

from reidflow.analyses.faces.arms import DESCRIBED, TRAINED
from reidflow.analyses.faces.blocks import points
from reidflow.analyses.faces.score import KEYS, score_error, share_error, whole_queries
from reidflow.spec.experiment_file import ExperimentFile
from reidflow.tables.sections import Section
from reidflow.tables.text import listed, markdown, number, signed

TITLE = "Their numbers"


def published_section(file: ExperimentFile, configurations: pl.DataFrame, links: list[str]) -> list[Section]:
    """Return the section on published figures; none where the experiment's file has none.

    links: names of the figures that show them.
    """
    told = file.published
    if told is None:
        return []
    weights = dict(file.score or {})
    lines = [f"{markdown(told.note.strip())}"]
    lines += _whole(told.arms, told.queries, weights)
    lines += _noise(told.arms, told.queries, weights)
    lines += _beside(configurations)
    unknown = [name for name in told.arms if name not in set(configurations["configuration"])]
    if unknown:
        lines.append(f"No configuration here stands for {listed([f'**{markdown(name)}**' for name in unknown])}.")
    return [Section(TITLE, lines, links=links)]


def _whole(arms: Mapping[str, Mapping[str, float]], queries: int | None, weights: Mapping[str, float]) -> list[str]:
    """Say how many published rows are whole numbers of the queries that are said to stand behind them."""
    if not queries:
        return []
    found = [whole_queries(own, queries, weights) for own in arms.values()]
    told = [fits for fits in found if fits is not None]
    if not told:
        return []
    return [
        f"{sum(told)} of the {len(told)} rows with all three accuracies are, to every digit, whole numbers of {queries} queries."
    ]


def _noise(arms: Mapping[str, Mapping[str, float]], queries: int | None, weights: Mapping[str, float]) -> list[str]:
    rows = [(name, own) for name, own in arms.items() if all(key in own for key in KEYS)]
    if not queries or not rows:
        return []
    name, own = rows[0]
    error, points_error = share_error(own["top1"], queries), score_error(weights, own, queries)
    scores = [row["score"] for row in arms.values() if "score" in row]
    words = (
        f"With {queries} queries one top-1 of {number(own['top1'])} (**{markdown(name)}**) carries a standard error of "
        f"{number(error)}, and its score one of {points(points_error)} points; each is of a single run."
    )
    if len(scores) > 1 and points_error:
        span = max(scores) - min(scores)
        words += (
            f" Their {len(scores)} scores span {points(span)} points: {number(span / points_error, 1)} of these errors."
        )
    return [words]


def _beside(configurations: pl.DataFrame) -> list[str]:
    """Say how far our scores lie from theirs, for each side."""
    lines = []
    for side in (DESCRIBED, TRAINED):
        both = configurations.filter(
            (pl.col("side") == side) & pl.col("score").is_not_null() & pl.col("published_score").is_not_null()
        )
        if both.is_empty():
            continue
        gaps = (both["score"] - both["published_score"]).to_list()
        lines.append(
            f"{side.capitalize()}, ours lie {signed(min(gaps), 1)} to {signed(max(gaps), 1)} points from theirs over "
            f"{len(gaps)} configurations: other images, another split and other queries, so that no difference is concluded."
        )
    return lines
