"""The pairs of images whose matches are drawn: which queries are shown, with which candidates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.layout import Layout
from reidflow.evaluation.retrieval_queries import Retrieval, best_candidates, scores
from reidflow.store.tables import Column, Contract
from reidflow.tables.columns import column, columns

FOUND, WRONG, BOTH = "matches_found", "matches_wrong", "matches_both"
SHOWN = 4
"""Queries on a sheet, each of another identity."""
_S, _I, _F = pl.String, pl.Int64, pl.Float64
PAIRS = Contract(
    "pairs with their matches",
    [
        Column("sheet", _S, "sheet", "text", "Contact sheet that shows the pair."),
        *columns("arm", "seed", "query"),
        Column("query_identity", _S, "identity", "text", "Individual that the query shows."),
        Column("image", _S, "candidate", "text", "Id of the candidate."),
        column("identity").but(heading="its identity", nullable=True, meaning="Individual that the candidate shows."),
        Column("right", pl.Boolean, "positive", "yes_no", "Whether both show the same individual."),
        Column("rank_before", _I, "rank before", "count", "Rank of the candidate with the baseline."),
        Column("rank", _I, "rank", "count", "Rank of the candidate with the arm."),
        Column("matches", _I, "matches", "count", "Matched keypoints of the two images."),
        Column("baseline", _F, "baseline's score", "number", "What the baseline ranks the candidate by.", nullable=True),
        Column("local", _F, "local score", "number", "Sum of the weights of the matches."),
    ],
)  # fmt: skip
Matches = Callable[[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Places of a query and of a candidate -> points (M, 2) of each, weights (M,)."""


@dataclass(frozen=True)
class Shown:
    """A query on a sheet: its place among the queries, and the places of the candidates that it is shown with."""

    sheet: str
    query: int
    candidates: tuple[int, ...]


@dataclass(frozen=True)
class Order:
    """The candidates of one query in the order of their rank: places in the gallery, and what they are ranked by."""

    places: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, retrieval: Retrieval, query: int) -> "Order":
        """Return the order of the candidates of a query; of equals the first of the gallery comes first."""
        rows = slice(query, query + 1)
        (values,), excluded = scores(retrieval, rows), retrieval.masks().excluded(rows)
        places = np.arange(len(values)) if excluded is None else np.flatnonzero(~excluded[0])
        ordered = places[np.argsort(-values[places], kind="stable")]
        return cls(ordered, values[ordered])

    def rank(self, place: int) -> int:
        """Return the rank of a candidate, from 1."""
        return int(np.flatnonzero(self.places == place)[0]) + 1

    def value(self, place: int) -> float:
        """Return what a candidate is ranked by."""
        return float(self.values[self.rank(place) - 1])


def choose(layout: Layout, before: Retrieval, after: Retrieval, most: int = SHOWN) -> list[Shown]:
    """Return the queries of each sheet with the candidates that they are shown with, of each identity at most one query.

    `matches_found`: the first candidate is a positive after, and not before; shown with the first after and the first
    before. Those whose best positive was the furthest behind come first. `matches_wrong`: the first candidate is no
    positive; shown with it and with the best positive. Those that were right before come first, then those whose best
    positive is the furthest behind. `matches_both`: right before and after; shown with the first after, in the order of the
    queries. Queries without a positive are not shown; of equals the first comes first.
    """
    own, others = layout.identity[layout.query], layout.identity[layout.gallery]
    first_before, first = (best_candidates(retrieval, 1)[0][:, 0] for retrieval in (before, after))
    scored = first >= 0
    right_before, right = (scored & (others[each] == own) for each in (first_before, first))
    ordered: dict[str, list[tuple[tuple, Shown]]] = {FOUND: [], WRONG: [], BOTH: []}
    for query in map(int, np.flatnonzero(scored)):
        if right[query] and right_before[query]:
            shown = Shown(BOTH, query, _distinct(first[query]))
            ordered[BOTH].append(((query,), shown))
        elif right[query]:
            _, behind = _best(Order.of(before, query), others == own[query])
            shown = Shown(FOUND, query, _distinct(first[query], first_before[query]))
            ordered[FOUND].append(((-behind, query), shown))
        else:
            best, behind = _best(Order.of(after, query), others == own[query])
            if behind:
                shown = Shown(WRONG, query, _distinct(first[query], best))
                ordered[WRONG].append(((not right_before[query], -behind, query), shown))
    found: list[Shown] = []
    for each in ordered.values():
        by_identity: dict[int, Shown] = {}
        for _, shown in sorted(each, key=lambda one: one[0]):
            by_identity.setdefault(int(own[shown.query]), shown)
        found += list(by_identity.values())[:most]
    return found


def _distinct(*places: int) -> tuple[int, ...]:
    return tuple(dict.fromkeys(map(int, places)))


def _best(order: Order, positive: np.ndarray) -> tuple[int, int]:
    """Return the place of the best positive, and its rank from 1; 0 where no candidate is one."""
    hits = np.flatnonzero(positive[order.places])
    return (int(order.places[hits[0]]), int(hits[0]) + 1) if len(hits) else (-1, 0)


def pairs_table(
    layout: Layout,
    shown: Sequence[Shown],
    before: Retrieval,
    after: Retrieval,
    matches: Matches,
    arm: str,
    seed: int,
) -> pl.DataFrame:
    """Return PAIRS: what is said of each pair that is shown, in their order. matches: of the arm's local score."""
    rows: list[dict[str, Any]] = []
    table = layout.table
    for one in shown:
        query = layout.query[one.query]
        orders = Order.of(before, one.query), Order.of(after, one.query)
        for place in one.candidates:
            other = layout.gallery[place]
            weights = matches(one.query, place)[2]
            value = orders[0].value(place)
            rows.append(
                {
                    "sheet": one.sheet,
                    "arm": arm,
                    "seed": seed,
                    "query": table["image"][int(query)],
                    "query_identity": table["identity"][int(query)],
                    "image": table["image"][int(other)],
                    "identity": table["identity"][int(other)],
                    "right": bool(layout.identity[query] == layout.identity[other]),
                    "rank_before": orders[0].rank(place),
                    "rank": orders[1].rank(place),
                    "matches": len(weights),
                    "baseline": value if np.isfinite(value) else None,
                    "local": float(np.sum(weights)),
                }
            )
    return pl.DataFrame(rows, schema=PAIRS.columns)
