"""What the queries of an experiment find, in computed sentences."""

from collections import Counter

import polars as pl

from reidflow.analyses.ranked.tables import scored_queries
from reidflow.tables.layout import Block
from reidflow.tables.sections import Section
from reidflow.tables.text import listed, markdown, number

RANKED, WORST = "ranked", "worst"
FIGURES = (RANKED, WORST)
HARDEST, PAIRS = 3, 3
"""Identities, and confusions, that are named."""


def sections(ranked: pl.DataFrame, per_query: pl.DataFrame, worst: pl.DataFrame) -> list[Section]:
    """Return the sections of the findings, from the tables RANKED, PER_QUERY and WORST."""
    runs = list(ranked.select("arm", "seed").unique(maintain_order=True).iter_rows())
    if not runs:
        return []
    firsts = {run: _firsts(ranked, per_query, *run) for run in runs}
    arm, seed = runs[-1]
    own = worst.filter((pl.col("arm") == arm) & (pl.col("seed") == seed))
    return [
        Section(
            "What queries find",
            [*(_shares(run, *firsts[run], ranked) for run in runs), *_confusions(arm, firsts[runs[-1]][0])],
            [],
            {RANKED: "Queries with their ten best candidates"},
        ),
        Section(
            "The hardest identities",
            _hardest(arm, seed, own),
            [_worst_block(own)],
            {WORST: "The worst query of each identity with its ten best candidates"},
        ),
    ]


def _firsts(ranked: pl.DataFrame, per_query: pl.DataFrame, arm: str, seed: int) -> tuple[pl.DataFrame, int]:
    """Return the candidates that stand first for the queries of a run that can be scored, and how many queries are."""
    queries = scored_queries(per_query, arm, seed)
    own = ranked.filter((pl.col("arm") == arm) & (pl.col("seed") == seed) & (pl.col("rank") == 1))
    return own.filter(pl.col("query").is_in(queries["image"].implode())), len(queries)


def _shares(run: tuple[str, int], firsts: pl.DataFrame, queries: int, ranked: pl.DataFrame) -> str:
    arm, seed = run
    right = int(firsts["right"].sum())
    shown = ranked.filter((pl.col("arm") == arm) & (pl.col("seed") == seed))
    depth = int(shown["rank"].max() or 0)
    among = shown.filter(pl.col("right") & pl.col("query").is_in(firsts["query"].implode()))
    within = among["query"].n_unique()
    return (
        f"With **{markdown(arm)}** (seed {seed}) {right} of {_queries(queries)} ({_share(right, queries)}) "
        f"{'has' if right == 1 else 'have'} the right identity first, {within} ({_share(within, queries)}) among the "
        f"{depth} best."
    )


def _confusions(arm: str, firsts: pl.DataFrame) -> list[str]:
    """Say which identity stands first for which, and which one draws most queries of others."""
    wrong = list(firsts.filter(~pl.col("right")).select("query_identity", "identity").iter_rows())
    if not wrong:
        return [f"With **{markdown(arm)}** no query has another identity first."]
    asked = Counter(firsts["query_identity"])
    pairs = sorted(Counter(wrong).items(), key=lambda found: (-found[1], found[0]))[:PAIRS]
    told = [
        f"{markdown(other)} for {markdown(own)} ({times} of its {_queries(asked[own])})"
        for (own, other), times in pairs
    ]
    drawn = Counter(other for _, other in wrong)
    most = min(drawn, key=lambda name: (-drawn[name], name))
    victims = len({own for own, other in wrong if other == most})
    lines = [f"Most often, with **{markdown(arm)}**, another identity stands first like this: {listed(told)}."]
    if victims > 1:
        lines.append(
            f"The identity that most often stands first in the wrong place is {markdown(most)}: for "
            f"{_queries(drawn[most])} of {victims} other identities, out of {len(wrong)} wrong first places."
        )
    return lines


def _hardest(arm: str, seed: int, worst: pl.DataFrame) -> list[str]:
    rows = worst.to_dicts()
    if not rows:
        return ["No query can be scored."]
    told = [
        f"{markdown(row['identity'])} (mean AP {number(row['identity_ap'], 2)} over {_queries(row['queries'])})"
        for row in rows[:HARDEST]
    ]
    never = sum(row["first_identity"] != row["identity"] for row in rows)
    if len(rows) == 1:
        return [f"With **{markdown(arm)}** (seed {seed}) the only identity is {told[0]}."]
    return [
        f"With **{markdown(arm)}** (seed {seed}) the hardest of {len(rows)} identities are {listed(told)}; one run, so "
        "nothing is concluded from their order.",
        f"The worst query of {never} of {len(rows)} identities has another identity first.",
    ]


def _worst_block(worst: pl.DataFrame) -> Block:
    headings = ["identity", "queries", "mean AP", "worst query", "its AP", "first true match", "stands first"]
    rows = [
        [
            row["identity"],
            str(row["queries"]),
            number(row["identity_ap"]),
            row["query"],
            number(row["ap"]),
            number(row["first_hit"]),
            row["first_identity"] or "–",
        ]
        for row in worst.to_dicts()
    ]
    return Block("Worst query of each identity", headings, rows)


def _queries(count: int) -> str:
    return f"{count} {'query' if count == 1 else 'queries'}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "–"
