"""Tables of experiments with folds: queries of all folds count, verdicts are over identities and folds."""

import numpy as np
import polars as pl
import pytest
from arms_folder import IDENTITIES, SEEDS, a_description, an_experiment, build_table, scores, write_arm

from reidflow.evaluation.statistics import compare
from reidflow.tables.caption import caption

LONE, LATE = IDENTITIES[0], IDENTITIES[1]
"""Identities that one fold alone tests: the first, and the second of them."""


def fold(query: str) -> int:
    """Return which of two folds tests a query: one of four of an identity is in the second."""
    identity, _, name = query.partition("/")
    return {LONE: 0, LATE: 1}.get(identity, int(name.startswith("3")))


def in_folds(folder):
    """Turn an arm that was written as one split into one with two folds: every query is tested in one of them."""
    queries = pl.read_parquet(folder / "per_query.parquet")
    split = pl.col("image").map_elements(fold, return_dtype=pl.Int64)
    # Queries of an identity differ, so that those of a small fold must not count as much as those of a large one.
    apart = pl.when(pl.col("image").str.ends_with("3.png")).then(0.06).otherwise(-0.02)
    queries.with_columns(split=split, ap=pl.col("ap") + apart).write_parquet(folder / "per_query.parquet")
    for name, seconds in (("metrics", None), ("history", None), ("efficiency", "seconds_train")):
        whole = pl.read_parquet(folder / f"{name}.parquet")
        parts = [whole.with_columns(split=pl.lit(number, pl.Int64)) for number in (0, 1)]
        if seconds:
            parts[1] = parts[1].with_columns(pl.col(seconds) + 2, peak_memory_mb=pl.lit(900.0))
        if name == "metrics":
            parts = [part.with_columns(id_map=pl.lit(0.9)) for part in parts]
            parts.append(whole.with_columns(split=pl.lit(None, pl.Int64)))
        pl.concat(parts).write_parquet(folder / f"{name}.parquet")
    return folder


@pytest.fixture
def made(tmp_path):
    experiment = an_experiment(["base", "better"])
    drawn = {"base": scores(0.5, 0), "better": scores(0.58, 1)}
    folders = {name: in_folds(write_arm(tmp_path / name, table)) for name, table in drawn.items()}
    split = a_description().split
    data = a_description(method={"name": "closed_set", "seed": 0, "folds": 2}, further=(split,))
    return experiment, drawn, data, build_table(experiment, folders, data)


def expected(drawn):
    """Return (identities, folds): the mean over an identity's queries in a fold, by its share of them, over seeds."""
    table = np.full((len(IDENTITIES), 2), np.nan)
    for row, identity in enumerate(IDENTITIES):
        queries = {number: [q for q in range(4) if fold(f"{identity}/{q}.png") == number] for number in (0, 1)}
        tested = [number for number in (0, 1) if queries[number]]
        for number in tested:
            values = [drawn[row].mean() + (0.06 if q == 3 else -0.02) for q in queries[number]]
            table[row, number] = sum(values) / 4 * len(tested)
    return table


def test_the_score_is_the_mean_over_all_queries_and_the_difference_is_that_of_the_scores(made):
    _, drawn, _, tables = made
    rows = {row["arm"]: row for row in tables.results.to_dicts()}
    for arm, row in rows.items():
        assert row["id_map"] == pytest.approx(drawn[arm].mean())
    assert rows["better"]["delta"] == pytest.approx(rows["better"]["id_map"] - rows["base"]["id_map"])
    own = tables.comparisons.filter(pl.col("flank").is_null(), arm="better")
    assert dict(own.select("identity", "id_map").iter_rows()) == {
        identity: pytest.approx(drawn["better"][row].mean()) for row, identity in enumerate(IDENTITIES)
    }


def test_verdicts_are_over_identities_and_folds_and_keep_who_is_tested_in_one_fold_alone(made):
    _, drawn, _, tables = made
    differences = expected(drawn["better"]) - expected(drawn["base"])
    assert np.isnan(differences).sum() == 2
    found = compare({"better": differences})["better"]
    row = tables.results.row(by_predicate=pl.col("arm") == "better", named=True)
    assert (row["delta_low"], row["delta_high"]) == (pytest.approx(found.low), pytest.approx(found.high))
    assert row["delta"] == pytest.approx(found.delta) and row["verdict"] == found.verdict and row["note"] == ""
    own = tables.comparisons.filter(pl.col("flank").is_null(), arm="better")
    by_fold = {identity: np.array(values) for identity, values in own.select("identity", "delta_by_seed").iter_rows()}
    for place, identity in enumerate(IDENTITIES):
        np.testing.assert_allclose(by_fold[identity], differences[place], atol=1e-12)


def test_what_runs_cost_is_the_mean_over_folds(made):
    _, _, _, tables = made
    assert tables.efficiency["seconds_train"].to_list() == [2.5, 2.5]
    assert tables.efficiency["peak_memory_mb"].to_list() == [900.0, 900.0]
    assert tables.results["gradient_norm"].to_list() == [1.0, 1.0]
    assert tables.results["seeds"].to_list() == [len(SEEDS)] * 2


def test_the_caption_says_what_the_folds_are_and_what_verdicts_are_about(made):
    experiment, _, data, tables = made
    said = dict(caption(experiment, data, tables.results))
    assert "2 folds, each trained, chosen and tested by itself" in said["Split"]
    assert "paired by identity and fold (its mean over seeds)" in said["Statistics"]
    assert "they hold over 2 folds" in said["Population"] and "training sets overlap" in said["Population"]
    assert said["Leak audit"].startswith("no leak found in any of 2 splits")
    leaking = a_description(method=data.method, further=data.further, audit={**data.audit, "leaks": True})
    assert dict(caption(experiment, leaking, tables.results))["Leak audit"].startswith("LEAKING")
