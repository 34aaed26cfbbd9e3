"""The best candidates of each query, and the worst query of each identity."""

from collections.abc import Sequence

import polars as pl

from reidflow.evaluation.layout import Layout
from reidflow.evaluation.retrieval_queries import RANKED, ranked_table
from reidflow.evaluation.runs import TrainedRun, arm_retrieval
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


def shown_runs(runs: Sequence[TrainedRun], results: pl.DataFrame) -> list[TrainedRun]:
    """Return the first run of the baseline and that of the best arm; one where they are the same.

    results: RESULTS of the experiment. The best arm has the highest validation mAP, or the highest id_map where nothing
    is validated; of equals it is the first of the experiment. Arms without a score are not shown.
    """
    scored = [row for row in results.to_dicts() if row["id_map"] is not None]
    arms = [row["arm"] for row in scored if row["baseline"]]
    by = "val_id_map" if any(row["val_id_map"] is not None for row in scored) else "id_map"
    if scored:
        arms.append(max(scored, key=lambda row: -1.0 if row[by] is None else row[by])["arm"])
    return [next(made for made in runs if made.arm == arm) for arm in dict.fromkeys(arms)]


def ranked_runs(layout: Layout, runs: Sequence[TrainedRun], mirrored: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return RANKED of runs, in their order: the best candidates after the arm's inference.

    mirrored: MIRRORED of the experiment, where an arm's inference uses mirrored images.
    """
    queries, gallery = (layout.table[rows].select("image", "identity") for rows in (layout.query, layout.gallery))
    found = [ranked_table(arm_retrieval(layout, run, mirrored), queries, gallery, run.arm, run.seed) for run in runs]
    return pl.concat([RANKED.empty(), *found])


def scored_queries(per_query: pl.DataFrame, arm: str, seed: int) -> pl.DataFrame:
    """Return the queries of a run that have a positive: image, identity, ap, first_hit; the highest ap first.

    Equals are in the order of their names.
    """
    own = (pl.col("arm") == arm) & (pl.col("seed") == seed) & pl.col("ap").is_finite()
    rounded = pl.col("ap").round(12)
    found = per_query.filter(own).select("image", "identity", "ap", "first_hit")
    return found.sort(rounded, "image", descending=[True, False])


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
