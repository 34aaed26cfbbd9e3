"""What the queries of an experiment find, image by image: the best candidates, and the worst query of each identity."""

from collections.abc import Sequence

import polars as pl

from reidflow.evaluation.layout import Layout
from reidflow.evaluation.retrieval_queries import RANKED, ranked_table
from reidflow.evaluation.runs import TrainedRun, arm_retrieval
from reidflow.store.tables import Contract
from reidflow.tables.arms import mean

WORST = Contract(
    "worst query of each identity",
    {
        "arm": pl.String,
        "seed": pl.Int64,
        "identity": pl.String,
        "queries": pl.Int64,  # that can be scored
        "identity_ap": pl.Float64,  # mean over them
        "query": pl.String,  # the one with the lowest average precision
        "ap": pl.Float64,
        "first_hit": pl.Int64,  # rank of its first true match
        "first_image": pl.String,  # what stands first instead, or is that match
        "first_identity": pl.String,
    },
    nullable=frozenset({"first_hit", "first_image", "first_identity"}),
)
PLACES = {"best": 0.0, "upper quartile": 0.25, "median": 0.5, "lower quartile": 0.75, "worst": 1.0}
"""The queries that are shown: their place among all, from the highest average precision to the lowest."""


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
    """Return RANKED of runs, in their order: what the queries find after the arm's inference.

    mirrored: MIRRORED of the experiment, where an arm's inference looks at mirror images.
    """
    queries, gallery = (layout.table[rows].select("image", "identity") for rows in (layout.query, layout.gallery))
    found = [ranked_table(arm_retrieval(layout, run, mirrored), queries, gallery, run.arm, run.seed) for run in runs]
    return pl.concat([RANKED.empty(), *found])


def scored_queries(per_query: pl.DataFrame, arm: str, seed: int) -> pl.DataFrame:
    """Return the queries of a run that have a positive: image, identity, ap, first_hit; the highest ap first.

    Equals stand in the order of their names.
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
            told = [worst["image"], worst["ap"], worst["first_hit"], image, other]
            own.append([arm, seed, identity, len(queries), average, *told])
        rows += sorted(own, key=lambda row: (round(row[4], 12), row[2]))
    return pl.DataFrame(rows, schema=WORST.columns, orient="row")


def examples(queries: pl.DataFrame) -> list[tuple[str, dict]]:
    """Return (place in words, query) of a few of `scored_queries`: one of each place, none twice."""
    rows, shown, found = queries.to_dicts(), set(), []
    for words, share in PLACES.items():
        place = round(share * (len(rows) - 1)) if rows else 0
        if rows and place not in shown:
            shown.add(place)
            found.append((words, rows[place]))
    return found
