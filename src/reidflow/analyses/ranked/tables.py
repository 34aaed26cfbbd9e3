"""The worst query of each identity, and queries from the best to the worst."""

import polars as pl

from reidflow.evaluation.ranked_runs import scored_queries
from reidflow.store.tables import Column, Contract
from reidflow.tables.arms import mean
from reidflow.tables.columns import column, columns

WORST = Contract(
    "worst query of each identity",
    [
        *columns("arm", "seed", "identity"),
        column("queries").but(nullable=False),
        Column("identity_ap", pl.Float64, "mean AP", "number", "Mean average precision of the identity's queries."),
        column("query").but(heading="worst query", meaning="Query of the identity with the lowest average precision."),
        column("ap").but(heading="its AP", nullable=False),
        column("first_hit"),
        Column("first_image", pl.String, "first candidate", "text", "Image that ranks first.", nullable=True),
        Column("first_identity", pl.String, "its identity", "text", "Identity of that image.", nullable=True),
    ],
)
QUANTILES = {"best": 0.0, "upper quartile": 0.25, "median": 0.5, "lower quartile": 0.75, "worst": 1.0}
"""Queries on the sheet: their quantile from the highest average precision to the lowest."""


def worst_table(per_query: pl.DataFrame, ranked: pl.DataFrame) -> pl.DataFrame:
    """Return WORST of the runs that are ranked: arms in their order, the identity with the lowest mean ap first.

    per_query: PER_QUERY of the experiment. ranked: RANKED. Of queries with equal ap the one whose name comes first.
    """
    firsts = ranked.filter(pl.col("rank") == 1).select("arm", "seed", "query", "image", "identity")
    first = {tuple(key): (image, identity) for *key, image, identity in firsts.iter_rows()}
    rows = []
    for arm, seed in ranked.select("arm", "seed").unique(maintain_order=True).iter_rows():
        own = []
        for (identity,), queries in scored_queries(per_query, arm, seed).group_by("identity", maintain_order=True):
            lowest = queries["ap"].round(12).min()
            worst = queries.filter(pl.col("ap").round(12) == lowest).row(0, named=True)
            image, other = first.get((arm, seed, worst["image"]), (None, None))
            average = mean(queries["ap"])
            found = [worst["image"], worst["ap"], worst["first_hit"], image, other]
            own.append([arm, seed, identity, len(queries), average, *found])
        rows += sorted(own, key=lambda row: (round(row[4], 12), row[2]))
    return pl.DataFrame(rows, schema=WORST.columns, orient="row")


def examples(queries: pl.DataFrame) -> list[tuple[str, dict]]:
    """Return (name of the quantile, query) of a few of `scored_queries`: one per quantile, none twice."""
    rows, shown, found = queries.to_dicts(), set(), []
    for name, share in QUANTILES.items():
        row = round(share * (len(rows) - 1)) if rows else 0
        if rows and row not in shown:
            shown.add(row)
            found.append((name, rows[row]))
    return found
