"""Queries of an experiment with their best candidates: the runs that stand for it, what they find, how well each query does."""

from collections.abc import Sequence

import polars as pl

from reidflow.evaluation.layout import Layout
from reidflow.evaluation.retrieval_queries import RANKED, ranked_table
from reidflow.evaluation.runs import TrainedRun, arm_retrieval


def shown_arms(results: pl.DataFrame) -> list[str]:
    """Return the baseline and the best arm; one where they are the same.

    results: RESULTS of the experiment. The best arm has the highest validation mAP, or the highest id_map where nothing
    is validated; of equals it is the first of the experiment. Arms without a score are not shown.
    """
    scored = [row for row in results.to_dicts() if row["id_map"] is not None]
    arms = [row["arm"] for row in scored if row["baseline"]]
    by = "val_id_map" if any(row["val_id_map"] is not None for row in scored) else "id_map"
    if scored:
        arms.append(max(scored, key=lambda row: -1.0 if row[by] is None else row[by])["arm"])
    return list(dict.fromkeys(arms))


def shown_runs(runs: Sequence[TrainedRun], results: pl.DataFrame) -> list[TrainedRun]:
    """Return the first run of each of `shown_arms`."""
    return [next(made for made in runs if made.arm == arm) for arm in shown_arms(results)]


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
