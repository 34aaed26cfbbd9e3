"""The tables of a search, against planted effects and against sums made by hand."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import rankdata
from searches import comparisons, efficiency, experiment, frames, results, trials, winners

from reidflow.analyses import search
from reidflow.analyses.analysis import Inputs
from reidflow.analyses.search.effects import EFFECTS, IMPORTANCES, _test, effects_table, importances_table, pool_of
from reidflow.analyses.search.tables import (
    BUDGETS,
    PROGRESS,
    SEARCH,
    SEARCH_EFFICIENCY,
    against_matched,
    best_so_far,
    budget_table,
    budgets_table,
    efficiency_table,
    front,
    quantity_rows,
    validated_rows,
    winners_that_tie,
    with_scores,
)
from reidflow.figures.parts import drawn
from reidflow.search.trials_table import TRIALS, TRIALS_EFFICIENCY
from reidflow.spec.config import Config
from reidflow.spec.yaml import load
from reidflow.store.tables import write_table
from reidflow.tables.comparisons import COMPARISONS
from reidflow.tables.experiment import RESULTS


def few(states: list, values: list, steps: list) -> pl.DataFrame:
    rows = [
        {"study": "a", "trial": n, "state": s, "value": v, "values": [], "steps": t, "train_flops": 2 * t}
        for n, (s, v, t) in enumerate(zip(states, values, steps, strict=True))
    ]
    return pl.DataFrame(rows, schema_overrides={"value": pl.Float64})


def test_best_so_far_never_falls_and_sums_what_was_spent():
    made = few(["pruned", "complete", "diverged", "complete", "complete"], [None, 0.3, 0.0, 0.2, 0.5], [1, 4, 2, 4, 4])
    timed = pl.DataFrame({"study": ["a"] * 5, "trial": [4, 3, 2, 1, 0], "seconds": [5.0, 4.0, 3.0, 2.0, 1.0]})
    found = best_so_far(made.sample(5, shuffle=True, seed=1), timed)
    assert found["best"].to_list() == [None, 0.3, 0.3, 0.3, 0.5]
    assert found["trials"].to_list() == [1, 2, 3, 4, 5]
    assert found["steps"].to_list() == [1, 5, 7, 11, 15]
    assert found["train_flops"].to_list() == [2, 10, 14, 22, 30]
    assert found["seconds"].to_list() == [1, 3, 6, 10, 15]


def test_a_pruned_trial_leaves_the_best_value_as_it_is():
    made = few(["complete", "pruned"], [0.3, None], [1, 1])
    timed = pl.DataFrame({"study": ["a"], "trial": [0], "seconds": [1.0]})
    assert best_so_far(made, timed)["best"].to_list() == [0.3, 0.3]


def test_seconds_that_are_not_known_are_not_guessed():
    took = pl.DataFrame({"study": ["a", "a"], "trial": [0, 2], "seconds": [1.0, 1.0]})
    made = few(["complete"] * 3, [0.1] * 3, [1] * 3)
    assert best_so_far(made, took)["seconds"].to_list() == [1, None, None]


def test_the_budget_table_shows_what_was_spent_and_how_much_was_luck(tmp_path):
    table = budget_table(experiment(), trials(), winners(), results())
    write_table(table, tmp_path / "search.parquet", SEARCH)
    row = table.row(by_predicate=pl.col("study") == "tpe", named=True)
    own = trials().filter(pl.col("study") == "tpe")
    assert (row["arm"], row["trials"], row["steps"], row["axes"]) == ("tpe", 60, own["steps"].sum(), 5)
    assert row["complete"] + row["pruned"] + row["diverged"] == 60
    assert row["luck"] == pytest.approx(own["value"].max() - 0.502)
    assert row["sweep_value"] == pytest.approx(own["value"].max() - 0.02)
    assert (row["delta"], row["verdict"], row["finalists"]) == (0.052, "better", 1)
    matched = table.row(by_predicate=pl.col("study") == "learning_rate", named=True)
    assert (matched["matched_to"], matched["axes"], matched["arm"]) == ("tpe", 1, "learning_rate")


def test_an_arm_with_other_settings_than_a_winner_is_not_the_winner():
    reordered = replace(experiment(), arms=dict(reversed(experiment().arms.items())))
    found = budget_table(reordered, trials(), winners(), results())["arm"]
    assert sorted(found) == ["learning_rate", "quasi", "random", "tpe"]


def test_seconds_are_in_a_file_of_their_own(tmp_path):
    found = efficiency_table(experiment(), efficiency())
    write_table(found, tmp_path / "e.parquet", SEARCH_EFFICIENCY)
    assert found["seconds"].to_list() == [30.0] * 4
    assert "seconds" not in {**SEARCH.columns, **PROGRESS.columns, **IMPORTANCES.columns, **EFFECTS.columns}


def test_the_front_holds_what_no_other_trial_beats_in_both():
    draw = np.random.default_rng(0)
    made = pl.DataFrame(
        {
            "study": ["a"] * 60,
            "trial": range(60),
            "winner": [False] * 60,
            "state": ["complete"] * 55 + ["diverged"] * 5,
            "value": draw.integers(0, 12, 60) / 10,
            "flops": [*draw.integers(1, 12, 59).tolist(), None],
            "parameters": draw.integers(1, 12, 60).tolist(),
        }
    )
    found = front(made)
    assert found.height == 55
    points = found.select("value", "flops").rows()
    for (value, cost), on in zip(points, found["front_flops"], strict=True):
        beaten = any(v >= value and c <= cost and (v, c) != (value, cost) for v, c in points)
        assert on == (not beaten)
    assert front(made.with_columns(flops=pl.lit(None, pl.Int64)))["front_flops"].any() is False


def test_the_axis_that_decides_most_is_the_most_important(tmp_path):
    found = frames()["importances"]
    write_table(found, tmp_path / "i.parquet", IMPORTANCES)
    pool = found.filter("pooled")
    assert set(pool["study"]) == {"random + quasi"}
    for method in ("ped_anova", "fanova"):
        best = pool.filter(pl.col("method") == method).sort("share")["axis"].last()
        assert best == "optimizer.learning_rate"
    stands = dict(pool.select("method", "trials").iter_rows())
    ended = trials().filter(pl.col("study").is_in(["random", "quasi"]) & (pl.col("state") == "pruned")).height
    assert stands == {"ped_anova": 120, "fanova": 120 - ended}
    assert "learning_rate" not in set(found["study"])


def test_few_trials_have_no_importances_and_no_effects():
    assert importances_table(experiment(), trials(8)).is_empty()
    assert effects_table(experiment(), trials(4)).is_empty()


def test_planted_effects_are_found_with_their_sign_and_others_are_not(tmp_path):
    found = effects_table(experiment(), trials())
    write_table(found, tmp_path / "effects.parquet", EFFECTS)
    verdicts = {tuple(key): verdict for *key, verdict in found.select("axis", "label", "verdict").iter_rows()}
    assert verdicts["sampler", "pk"] == "better"
    assert verdicts["sampler", "shuffled"] == "worse"
    assert verdicts["optimizer.learning_rate", "0.000669 to 0.00448"] == "better"
    assert verdicts["optimizer.learning_rate", "0.0001 to 0.000669"] == "worse"
    other = [v for (axis, _), v in verdicts.items() if axis in ("scheduler", "neck", "model.head.dropout")]
    assert other == ["inconclusive"] * 7
    for row in found.to_dicts():
        assert (row["low"] <= 0 <= row["high"]) == (row["verdict"] == "inconclusive")
        assert row["high"] - row["effect"] == pytest.approx(row["effect"] - row["low"])


def test_standing_is_the_share_of_trials_that_are_beaten():
    found = effects_table(experiment(), trials())
    own = trials().filter(pl.col("study").is_in(["random", "quasi"]))
    values = [v if v is not None else max(vs) for v, vs in own.select("value", "values").iter_rows()]
    beaten = (rankdata(values) - 0.5) / len(values)
    mask = (own["sampler"] == "pk").to_numpy()
    row = found.row(by_predicate=(pl.col("axis") == "sampler") & (pl.col("label") == "pk"), named=True)
    assert row["standing"] == pytest.approx(beaten[mask].mean())
    assert row["effect"] == pytest.approx(beaten[mask].mean() - beaten[~mask].mean())
    assert row["mean_rank"] == pytest.approx((len(values) + 1 - rankdata(values))[mask].mean())
    assert (row["trials"], row["best"]) == (mask.sum(), max(np.array(values)[mask]))


def test_where_nothing_is_planted_nothing_is_found():
    assert set(effects_table(experiment(), trials(planted=False))["verdict"]) == {"inconclusive"}


def test_one_search_in_twenty_that_nothing_decides_shows_an_effect():
    """However many choices there are: the correction is over all of them together."""
    draw, shown = np.random.default_rng(2), 0
    for seed in range(60):
        members = [draw.uniform(size=40) < share for share in (0.2, 0.3, 0.5) * 6]
        found = _test(draw.permutation(np.arange(40) / 40), members, 0.05, seed)
        assert all((each["low"] <= 0 <= each["high"]) == (each["verdict"] == "inconclusive") for each in found)
        shown += any(each["verdict"] != "inconclusive" for each in found)
    assert shown <= 8


def test_a_pruned_trial_counts_with_the_best_it_reached():
    made = pl.DataFrame({"value": [0.4, None, None], "values": [[0.9], [0.1, float("nan"), 0.3, 0.2], []]})
    assert with_scores(made)["score"].to_list() == [0.4, 0.3, None]


def test_only_trials_that_depend_on_no_other_are_pooled():
    assert [study.name for study in pool_of(experiment())] == ["random", "quasi"]


def test_winners_that_differ_do_not_tie_and_equal_ones_do():
    assert winners_that_tie(experiment(), comparisons()) == ["random", "tpe"]
    assert winners_that_tie(experiment(), comparisons({})) == ["random", "quasi", "tpe"]


def test_winners_are_compared_with_the_matched_budget_identity_by_identity():
    found = against_matched(experiment(), comparisons(), results())
    assert [(row["arm"], row["other"]) for row in found] == [(n, "learning_rate") for n in ("random", "quasi", "tpe")]
    _, quasi, tpe = found
    both = comparisons().filter(pl.col("flank").is_null())
    means = {arm: both.filter(pl.col("arm") == arm)["delta"].mean() for arm in ("tpe", "learning_rate")}
    assert tpe["delta"] == pytest.approx(means["tpe"] - means["learning_rate"])
    assert quasi["verdict"] == "worse"


def test_a_control_that_the_experiment_names_is_judged_once():
    changed = results().with_columns(
        against=pl.when(pl.col("arm") == "tpe").then(pl.lit("learning_rate")).otherwise("against"),
        against_delta=pl.when(pl.col("arm") == "tpe").then(0.123).otherwise("against_delta"),
    )
    rows = {row["arm"]: row["delta"] for row in against_matched(experiment(), comparisons(), changed)}
    assert rows["tpe"] == 0.123 != rows["random"]


def test_the_report_has_the_tables_and_figures_that_the_analysis_declares(tmp_path):
    axes = experiment().studies["tpe"].axes
    made = {
        "trials": (trials(), TRIALS(axes)),
        "trials_efficiency": (efficiency(), TRIALS_EFFICIENCY),
        "results": (results(), RESULTS),
        "comparisons": (comparisons(), COMPARISONS),
    }
    files = {name: tmp_path / f"{name}.parquet" for name in made} | {"winners": tmp_path / "winners.json"}
    for name, (table, contract) in made.items():
        write_table(table, files[name], contract)
    files["winners"].write_text(json.dumps(winners()))
    assert sorted(files) == sorted(search.INPUTS)
    config = Config.model_validate(load("config/config.yaml"))
    report = search.run(Inputs(config, experiment(), files, {}, tmp_path))
    assert tuple(report.tables) == search.TABLES and list(report.figures) == list(search.FIGURES)
    for name, (table, contract) in report.tables.items():
        contract.check(table, name)
    shown = drawn(report.figures["front"])
    assert shown["flops/front:all"] and "flops/reference:baseline" in shown


def test_searches_are_compared_within_the_steps_and_the_flops_that_both_spent(tmp_path):
    """tpe: three trials of 10 steps and 30 FLOPs; learning_rate: six of 5 steps and 5 FLOPs."""
    planted = {
        "tpe": [(0.3, 10, 30), (0.5, 20, 60), (0.7, 30, 90)],
        "learning_rate": [(0.2, 5, 5), (0.4, 10, 10), (0.4, 15, 15), (0.6, 20, 20), (0.6, 25, 25), (0.6, 30, 30)],
    }
    rows = [
        {"study": study, "trial": n, "state": "complete", "value": best, "best": best, "trials": n + 1, "steps": steps,
         "train_flops": float(flops)}
        for study, trials in planted.items() for n, (best, steps, flops) in enumerate(trials)
    ]  # fmt: skip
    won = {"tpe": {"trial": 1}, "learning_rate": {"trial": 3}}
    found = budgets_table(experiment(), pl.DataFrame(rows, schema=PROGRESS.columns), won)
    write_table(found, tmp_path / "b.parquet", BUDGETS)
    assert found.select("study", "other", "budget", "amount", "trials", "other_trials", "winners_within").rows() == [
        ("tpe", "learning_rate", "optimizer steps", 30.0, 3, 6, True),
        ("tpe", "learning_rate", "training FLOPs", 30.0, 1, 6, False),
    ]
    assert found["gain"].to_list() == pytest.approx([0.1, -0.3])
    (row,) = validated_rows(search.quantities(experiment())[1], experiment(), found)
    assert (row["arm"], row["reference"], row["verdict"]) == ("tpe", "learning_rate", None)
    assert row["value"] == pytest.approx(-0.3)


def test_the_gain_at_equal_steps_is_that_over_the_study_with_the_matched_budget():
    gains = against_matched(experiment(), comparisons(), results())
    quantity, _ = search.quantities(experiment())
    rows = quantity_rows(quantity, gains)
    assert [(row["arm"], row["reference"]) for row in rows] == [
        (n, "learning_rate") for n in ("random", "quasi", "tpe")
    ]
    assert [row["value"] for row in rows] == [row["delta"] for row in gains]
    assert rows[1]["verdict"] == "worse" and rows[1]["delta_high"] == gains[1]["high"] < 0
