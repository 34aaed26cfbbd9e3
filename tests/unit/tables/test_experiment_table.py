import numpy as np
import polars as pl
import pytest
from arms_folder import (
    IDENTITIES,
    SEEDS,
    a_description,
    a_table,
    an_experiment,
    build_table,
    scores,
    write_arm,
)

from reidflow.evaluation.bootstrap import improvement
from reidflow.evaluation.statistics import compare
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import read_table, write_table
from reidflow.tables.arms import EvaluatedArm
from reidflow.tables.comparisons import COMPARISONS, PROFILES, improves, profiles
from reidflow.tables.experiment import EFFICIENCY, RESULTS, blocks

CHOSEN = {
    "values": {"optimizer.lr": 0.01},
    "points": [
        {"values": {"optimizer.lr": 0.001}, "val_id_map": 0.4, "seeds": {"100": 0.4}},
        {"values": {"optimizer.lr": 0.01}, "val_id_map": 0.5, "seeds": {"100": 0.5}},
    ],
    "on_edge": {"optimizer.lr": True},
}


def rows_of(results):
    return {row["arm"]: row for row in results.to_dicts()}


def test_planted_effects_get_their_verdicts_and_the_best_its_ties(tmp_path):
    effects = {"base": 0.0, "up": 0.05, "up again": 0.05, "same": 0.0, "down": -0.05}
    rows = rows_of(a_table(tmp_path, effects)[1].results)
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "base": "baseline", "up": "better", "up again": "better", "same": "inconclusive", "down": "worse",
    }  # fmt: skip
    assert [name for name, row in rows.items() if row["ties_with_best"]] == ["up", "up again"]
    for row in list(rows.values())[1:]:
        assert row["delta_low"] < row["delta"] < row["delta_high"]
        assert (row["delta_low"] <= 0 <= row["delta_high"]) == (row["verdict"] == "inconclusive")
    assert [rows["base"][c] for c in ("delta", "delta_low", "p_adjusted", "smallest_detectable")] == [None] * 4


def test_a_difference_whose_whole_interval_lies_within_the_margin_is_equivalent_whatever_its_sign(tmp_path):
    effects = {"base": 0.0, "same": 0.0, "little": 0.02, "up": 0.08}
    rows = rows_of(a_table(tmp_path, effects, equivalence=0.04, against={"up": "little"})[1].results)
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "base": "baseline", "same": "equivalent", "little": "equivalent", "up": "better",
    }  # fmt: skip
    assert rows["little"]["delta_low"] > 0
    assert {row["margin"] for row in rows.values()} == {0.04}
    assert rows["up"]["against_verdict"] == "better"
    wide = rows_of(a_table(tmp_path / "wide", effects, equivalence=0.5, against={"up": "little"})[1].results)
    assert [wide[arm]["verdict"] for arm in ("same", "little", "up")] == ["equivalent"] * 3
    assert wide["up"]["against_verdict"] == "equivalent"


def test_the_difference_is_that_of_identity_means_paired_by_seed(tmp_path):
    base, arm = scores(0.4, 1), scores(0.45, 2)
    experiment = an_experiment(["base", "arm"])
    folders = {"base": write_arm(tmp_path / "b", base), "arm": write_arm(tmp_path / "a", arm)}
    tables = build_table(experiment, folders, a_description())
    row = rows_of(tables.results)["arm"]
    expected = compare({"arm": arm - base})["arm"]
    assert row["delta"] == pytest.approx((arm - base).mean(), abs=1e-12)
    assert row["delta_low"] == pytest.approx(expected.low, abs=1e-9)
    assert row["p_adjusted"] == pytest.approx(expected.p_adjusted, abs=1e-9)
    assert row["id_map"] == pytest.approx(arm.mean())
    assert row["id_map_std"] == pytest.approx(arm.mean(axis=0).std(ddof=1))
    assert row["id_map_by_seed"] == pytest.approx(list(arm.mean(axis=0)))
    chances = [row[name] for name in ("improvement", "improvement_low", "improvement_high")]
    assert chances == pytest.approx([float(value) for value in improvement(arm, base)])
    shares = tables.profiles.filter(pl.col("arm") == "arm", pl.col("threshold").is_between(0.39, 0.51))
    assert shares["share"].to_list() == pytest.approx([(arm >= t).mean() for t in shares["threshold"]])
    assert shares.height == 6
    nmi = 0.7 + 0.01 * np.arange(arm.shape[1])
    assert (row["nmi"], row["nmi_std"]) == pytest.approx((np.mean(nmi), np.std(nmi, ddof=1))) and row["nmi_std"] > 0
    assert (row["steps"], row["queries"], row["skipped"]) == (101.0, 80, 20)
    per_identity = tables.comparisons.filter(pl.col("flank").is_null() & (pl.col("arm") == "arm"))
    assert per_identity["identity"].to_list() == IDENTITIES
    assert per_identity["train_images"].to_list() == list(range(2, 22))
    np.testing.assert_allclose(np.array(per_identity["delta_by_seed"].to_list()), arm - base, atol=1e-12)


def test_an_identity_with_many_queries_counts_as_one(tmp_path):
    experiment = an_experiment(["base", "arm"])
    folders = {name: write_arm(tmp_path / name, scores(0.5, seed)) for seed, name in enumerate(["base", "arm"])}
    path = folders["arm"] / "per_query.parquet"
    frame = pl.read_parquet(path)
    many = frame.filter((pl.col("identity") == IDENTITIES[0]) & pl.col("ap").is_not_null())
    pl.concat([frame, *[many.with_columns(image=pl.col("image") + str(n)) for n in range(50)]]).write_parquet(path)
    row = rows_of(build_table(experiment, folders, a_description()).results)["arm"]
    assert row["delta"] == pytest.approx((scores(0.5, 1) - scores(0.5, 0)).mean())


def test_a_score_that_is_not_the_mean_of_its_queries_is_an_error(tmp_path):
    experiment = an_experiment(["base"])
    metrics = {"id_map": [*scores(0.5).mean(axis=0)[:2], 0.77]}
    folder = write_arm(tmp_path / "b", scores(0.5), metrics=metrics)
    with pytest.raises(ReidflowError, match=r"gives seed 2 of the arm 'base' an id_map of 0\.77"):
        build_table(experiment, {"base": folder}, a_description())


def test_seeds_that_differ_between_arms_are_paired_by_position(tmp_path):
    base, arm = scores(0.4, 1), scores(0.45, 2)
    experiment = an_experiment(["base", "arm"], seeds={"arm": (9, 7, 8)}, varies=["seed"])
    folders = {"base": write_arm(tmp_path / "b", base), "arm": write_arm(tmp_path / "a", arm, seeds=(9, 7, 8))}
    tables = build_table(experiment, folders, a_description())
    row = rows_of(tables.results)["arm"]
    assert row["seed_numbers"] == [9, 7, 8]
    assert row["id_map_by_seed"] == pytest.approx(list(arm.mean(axis=0)))
    chances = [row[name] for name in ("improvement", "improvement_low", "improvement_high")]
    assert chances == pytest.approx([float(value) for value in improvement(arm, base)])
    shares = tables.profiles.filter(pl.col("arm") == "arm", pl.col("threshold").is_between(0.39, 0.51))
    assert shares["share"].to_list() == pytest.approx([(arm >= t).mean() for t in shares["threshold"]])
    assert shares.height == 6
    assert row["p_adjusted"] == pytest.approx(compare({"arm": arm - base})["arm"].p_adjusted, abs=1e-9)


def test_one_seed_concludes_nothing_and_says_so(tmp_path):
    experiment = an_experiment(["base", "arm"], seeds={"base": (0,), "arm": (0,)})
    folders = {
        "base": write_arm(tmp_path / "b", scores(0.2, seeds=1), seeds=(0,)),
        "arm": write_arm(tmp_path / "a", scores(0.8, seeds=1), seeds=(0,)),
    }
    tables = build_table(experiment, folders, a_description())
    row = rows_of(tables.results)["arm"]
    assert (row["verdict"], row["p_adjusted"], row["id_map_std"]) == ("inconclusive", None, None)
    assert row["delta"] == pytest.approx(0.6)
    assert "one seed alone" in row["note"]
    assert tables.results["ties_with_best"].to_list() == [True, True]


def test_a_seed_without_score_is_not_averaged_away(tmp_path):
    table = scores(0.9, 3)
    experiment = an_experiment(["base", "broken"])
    metrics = {"id_map": [table[:, 0].mean(), float("nan"), table[:, 2].mean()], "diverged": [False, True, False]}
    broken = write_arm(tmp_path / "x", table, metrics=metrics)
    frame = pl.read_parquet(broken / "per_query.parquet")
    frame.with_columns(ap=pl.when(pl.col("seed") == 1).then(float("nan")).otherwise("ap")).write_parquet(
        broken / "per_query.parquet"
    )
    tables = build_table(
        experiment, {"base": write_arm(tmp_path / "b", scores(0.5)), "broken": broken}, a_description()
    )
    row = rows_of(tables.results)["broken"]
    assert (row["id_map"], row["delta"], row["verdict"], row["ties_with_best"]) == (None, None, "inconclusive", False)
    assert row["divergence"] == pytest.approx(1 / 3)
    assert "no score with seed 1" in row["note"]


def test_an_arm_that_could_not_be_run_is_a_row_with_the_reason(tmp_path):
    experiment = an_experiment(["base", "dino"])
    folders = {"base": write_arm(tmp_path / "b", scores(0.5))}
    tables = build_table(experiment, folders, a_description(), unavailable={"dino": "its weights need a network"})
    row = rows_of(tables.results)["dino"]
    assert (row["verdict"], row["id_map"], row["seeds"], row["note"]) == (
        "unavailable", None, 0, "its weights need a network",
    )  # fmt: skip
    with pytest.raises(ReidflowError, match="no results of dino"):
        build_table(experiment, folders, a_description())


def test_divergence_and_falling_below_the_untrained_network_are_rates_over_seeds(tmp_path):
    table = scores(0.5, noise=0)
    metrics = {"diverged": [True, False, False], "id_map_untrained": [0.6, 0.6, 0.1]}
    tables = build_table(
        an_experiment(["base"]), {"base": write_arm(tmp_path / "b", table, metrics=metrics)}, a_description()
    )
    row = rows_of(tables.results)["base"]
    assert row["divergence"] == pytest.approx(1 / 3)
    assert row["below_untrained"] == pytest.approx(2 / 3)


def test_counts_that_differ_between_seeds_are_the_largest(tmp_path):
    metrics = {"queries": [78, 80, 79], "flops": [1, 3, 2]}
    folder = write_arm(tmp_path / "b", scores(0.5), metrics=metrics)
    row = rows_of(build_table(an_experiment(["base"]), {"base": folder}, a_description()).results)["base"]
    assert (row["queries"], row["flops"]) == (80, 3)


def test_tuned_settings_are_columns_with_their_sensitivity(tmp_path):
    experiment = an_experiment(["base"], tuned={"optimizer.lr": [0.001, 0.01]})
    folder = write_arm(tmp_path / "b", scores(0.5), chosen=CHOSEN)
    row = rows_of(build_table(experiment, {"base": folder}, a_description()).results)["base"]
    assert (row["chosen_optimizer.lr"], row["on_edge_optimizer.lr"], row["on_edge"]) == (0.01, True, True)
    assert row["sensitivity"] == [
        {"point": "optimizer.lr=0.001", "val_id_map": 0.4},
        {"point": "optimizer.lr=0.01", "val_id_map": 0.5},
    ]
    (folder / "chosen.json").unlink()
    with pytest.raises(ReidflowError, match=r"chosen\.json: does not say"):
        build_table(experiment, {"base": folder}, a_description())


def test_chosen_values_of_any_kind_fit_into_a_column(tmp_path):
    experiment = an_experiment(["base", "arm"], tuned={"scheduler": ["cosine", {"name": "step", "every": 3}]})
    one, two = (
        {"values": {"scheduler": value}, "points": [], "on_edge": {"scheduler": False}}
        for value in ("cosine", {"name": "step", "every": 3})
    )
    folders = {
        "base": write_arm(tmp_path / "b", scores(0.5), chosen=one),
        "arm": write_arm(tmp_path / "a", scores(0.5, 1), chosen=two),
    }
    results = build_table(experiment, folders, a_description()).results
    assert results["chosen_scheduler"].to_list() == ["cosine", '{"every":3,"name":"step"}']


def test_runs_of_different_versions_are_marked(tmp_path):
    metrics = {"versions": ["torch 2.15.0", "torch 2.15.0", "torch 2.11.0"]}
    tables = build_table(
        an_experiment(["base"]), {"base": write_arm(tmp_path / "b", scores(0.5), metrics=metrics)}, a_description()
    )
    row = rows_of(tables.results)["base"]
    assert (row["versions"], row["versions_mixed"]) == ("torch 2.11.0; torch 2.15.0", True)


def test_results_of_other_seeds_are_an_error(tmp_path):
    experiment = an_experiment(["base"], seeds={"base": (0, 1, 5)})
    with pytest.raises(ReidflowError, match=r"holds the seeds \[0, 1, 2\]"):
        build_table(experiment, {"base": write_arm(tmp_path / "b", scores(0.5))}, a_description())


def test_tables_keep_their_contract_and_their_bytes(tmp_path):
    tables = a_table(tmp_path / "one", {"base": 0.0, "a|b, =x ✓": 0.1})[1]
    again = a_table(tmp_path / "two", {"base": 0.0, "a|b, =x ✓": 0.1})[1]
    for frame, other, contract in zip(tables, again, (RESULTS, EFFICIENCY, COMPARISONS, PROFILES), strict=True):
        write_table(frame, tmp_path / "x.parquet", contract)
        write_table(other, tmp_path / "y.parquet", contract)
        assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "y.parquet").read_bytes()
        assert read_table(tmp_path / "x.parquet", contract).equals(frame)
    assert tables.efficiency["peak_memory_mb"].to_list() == [502.0, 502.0]
    assert not {"seconds_train", "images_per_second", "peak_memory_mb"} & set(tables.results.columns)
    assert len(SEEDS) == tables.results["seeds"][0]


def test_the_speed_of_a_backbone_stands_beside_its_arm_and_nowhere_where_it_was_not_measured(tmp_path):
    experiment = an_experiment(["base", "arm"])
    folders = {name: write_arm(tmp_path / name, scores(0.5)) for name in ("base", "arm")}
    low, high = {"latency_ms_low": 4.0, "latency_ms_high": 6.0}, {"throughput_low": 90.0, "throughput_high": 110.0}
    speed = {"latency_ms": 5.0, **low, "throughput": 100.0, **high, "batch": 16, "repeats": [5, 5], "device": "cpu"}
    tables = build_table(experiment, folders, a_description(), speeds={"arm": speed, "base": dict.fromkeys(speed)})
    rows = {row["arm"]: row for row in tables.efficiency.to_dicts()}
    assert (rows["arm"]["latency_ms"], rows["arm"]["throughput"], rows["arm"]["batch"]) == (5.0, 100.0, 16)
    assert (rows["base"]["latency_ms"], rows["base"]["batch"]) == (None, None)
    last = blocks(tables.results, tables.efficiency)[-1]
    assert last.title.startswith("Speed of the backbone") and last.rows == [
        ["arm", "5.00", "4.00 to 6.00", "100", "90 to 110", "16"]
    ]
    without = build_table(experiment, folders, a_description())
    assert blocks(without.results, without.efficiency)[-1].title == "Measured on this machine"


def test_with_folds_the_probability_of_improvement_and_the_profile_are_over_the_queries_of_all_folds():
    def arm(name, shift):
        rows = [
            (seed, fold, f"{identity}/{fold}{n}", identity, 0.1 * (n + 1) + shift)
            for seed in (0, 1, 2)
            for identity, tested in (("a", (0,)), ("b", (1,)), ("c", (0, 1)))
            for fold in tested
            for n in range(fold + 1)
        ]
        queries = pl.DataFrame(rows, schema=["seed", "split", "image", "identity", "ap"], orient="row")
        none = pl.DataFrame()
        return EvaluatedArm(
            name, (0, 1, 2), none, queries.with_columns(flank=pl.lit(None, pl.String)), none, none, None
        )

    better, base = arm("better", 0.05), arm("base", 0.0)
    assert better.folds == (0, 1) and np.isnan(better.scores()[1]).any()
    assert improves(better, base) == {"improvement": 1.0, "improvement_low": 1.0, "improvement_high": 1.0}
    # Means over all queries of an identity: a 0.10, b 0.15 and c (0.1 + 0.1 + 0.2) / 3.
    shares = profiles("e", [base]).filter(pl.col("threshold").is_between(0.09, 0.17))["share"]
    assert shares.to_list() == pytest.approx([1, 2 / 3, 1 / 3, 0])
