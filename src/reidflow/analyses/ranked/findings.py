"""The findings on single queries: first candidates, confusions, the hardest identities."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.ranked import SHEETS
from reidflow.analyses.ranked.tables import WORST
from reidflow.evaluation.ranked_runs import scored_queries
from reidflow.tables.layout import block
from reidflow.tables.sections import Section, render, sections_of

FIRST, HARDEST = "First candidates", "The hardest identities"
NAMED = 3
"""Confusions and identities that are named."""


def sections(ranked: pl.DataFrame, per_query: pl.DataFrame, worst: pl.DataFrame) -> list[Section]:
    """Return the sections of the findings, from the tables RANKED, PER_QUERY and WORST."""
    runs = list(ranked.select("arm", "seed").unique(maintain_order=True).iter_rows())
    if not runs:
        return []
    own = worst.filter((pl.col("arm") == runs[-1][0]) & (pl.col("seed") == runs[-1][1]))
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        runs=[hits(ranked, per_query, *run) for run in runs],
        confused=confusions(first_candidates(ranked, per_query, *runs[-1])),
        worst=own.to_dicts(),
        wrong=own.filter(pl.col("first_identity").ne_missing(pl.col("identity"))).height,
        named=NAMED,
    )
    shown = [
        block("Worst query of each identity", own, [name for name in WORST.shown if name not in ("arm", "seed")], WORST)
    ]
    figures = {FIRST: {"ranked": SHEETS["ranked"]}, HARDEST: {"worst": SHEETS["worst"]}}
    return sections_of(text, {HARDEST: shown}, figures)


def first_candidates(ranked: pl.DataFrame, per_query: pl.DataFrame, arm: str, seed: int) -> pl.DataFrame:
    """Return the rows of RANKED with rank 1 of a run's queries that have a positive."""
    queries = scored_queries(per_query, arm, seed)["image"]
    own = (pl.col("arm") == arm) & (pl.col("seed") == seed) & (pl.col("rank") == 1)
    return ranked.filter(own & pl.col("query").is_in(queries.implode()))


def hits(ranked: pl.DataFrame, per_query: pl.DataFrame, arm: str, seed: int) -> dict[str, Any]:
    """Return how many `queries` of a run have a positive `first`, and `among` the `depth` best candidates."""
    firsts = first_candidates(ranked, per_query, arm, seed)
    shown = ranked.filter((pl.col("arm") == arm) & (pl.col("seed") == seed))
    among = shown.filter(pl.col("right") & pl.col("query").is_in(firsts["query"].implode()))["query"].n_unique()
    found = {"arm": arm, "seed": seed, "queries": scored_queries(per_query, arm, seed).height}
    return found | {"first": int(firsts["right"].sum()), "among": among, "depth": int(shown["rank"].max() or 0)}


def confusions(firsts: pl.DataFrame) -> dict[str, Any]:
    """Return which identities are confused most often: `pairs`, and the identity that most others are taken for (`hub`).

    pairs: identity, taken_for, count, of (queries of the identity). hub: identity, count, others; None where it is taken
    for by one other identity alone. wrong: number of wrong first candidates.
    """
    wrong = list(firsts.filter(~pl.col("right")).select("query_identity", "identity").iter_rows())
    queries, taken = Counter(firsts["query_identity"]), Counter(other for _, other in wrong)
    ordered = sorted(Counter(wrong).items(), key=lambda found: (-found[1], found[0]))[:NAMED]
    pairs = [
        {"identity": own, "taken_for": other, "count": count, "of": queries[own]} for (own, other), count in ordered
    ]
    most = min(taken, key=lambda name: (-taken[name], name), default=None)
    others = len({own for own, other in wrong if other == most})
    hub = {"identity": most, "count": taken[most], "others": others} if others > 1 else None
    return {"wrong": len(wrong), "pairs": pairs, "hub": hub}
