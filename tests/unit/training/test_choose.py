"""Every arm chooses its tuned settings by one rule: the mean validation mAP over the sweep seeds."""

import json

import polars as pl
import pytest

from reidflow.store.runs import RunStore
from reidflow.training.choose import choose
from reidflow.training.execute import chosen_runs

GRID = {"rate": [0.1, 0.2, 0.3]}


@pytest.fixture
def swept(tmp_path):
    """Return a function that plants finished runs, arm -> rate -> validation mAP by seed, and chooses."""

    def plant(scores, diverged=(), arms=None):
        told = []
        for arm, points in scores.items():
            for rate, values in points.items():
                for seed, value in enumerate(values, 100):
                    key = f"{arm}{rate}{seed}".replace(".", "").ljust(32, "0")
                    folder = RunStore(tmp_path / ".store").folder(key)
                    folder.mkdir(parents=True)
                    # The kept epoch is the second one: the last has another score.
                    pl.DataFrame({"epoch": [1, 2, 3], "val_id_map": [0.0, value, 0.9]}).write_parquet(
                        folder / "history.parquet"
                    )
                    kept = {"best_epoch": 2, "diverged": (arm, rate, seed) in diverged}
                    (folder / "provenance.json").write_text(json.dumps(kept))
                    told.append({"arm": arm, "seed": seed, "key": key, "spec": spec(arm, rate) | {"seed": seed}})
        half = len(told) // 2
        files = [tmp_path / "one.json", tmp_path / "two.json"]
        for file, runs in zip(files, (told[:half], told[half:]), strict=True):
            file.write_text(json.dumps({"runs": runs, "unavailable": {}}))
        points = {arm: [[{"rate": rate}, spec(arm, rate)] for rate in GRID["rate"]] for arm in arms or scores}
        return choose(GRID, points, files, tmp_path)

    return plant


def spec(arm, rate):
    return {"arm": arm, "rate": rate, "seed": 0}


def test_the_highest_mean_over_the_sweep_seeds_is_chosen_for_each_arm(swept):
    chosen = swept(
        {
            "a": {0.1: [0.9, 0.1], 0.2: [0.6, 0.6], 0.3: [0.5, 0.5]},
            "b": {0.1: [0.1, 0.1], 0.2: [0.2, 0.2], 0.3: [0.4, 0.3]},
        }
    )
    assert {arm: choice["values"] for arm, choice in chosen.items()} == {"a": {"rate": 0.2}, "b": {"rate": 0.3}}
    assert [point["val_id_map"] for point in chosen["a"]["points"]] == [0.5, 0.6, 0.5]
    assert chosen["a"]["points"][0]["seeds"] == {"100": 0.9, "101": 0.1}
    assert (chosen["a"]["on_edge"], chosen["b"]["on_edge"]) == ({"rate": False}, {"rate": True})


def test_a_diverged_run_counts_as_nothing_and_a_tie_goes_to_the_first_point(swept):
    chosen = swept(
        {"a": {0.1: [0.25, 0.25], 0.2: [0.5, 0.375], 0.3: [0.125, 0.375]}},
        diverged={("a", 0.2, 101)},
    )
    assert [point["val_id_map"] for point in chosen["a"]["points"]] == [0.25, 0.25, 0.25]
    assert chosen["a"]["values"] == {"rate": 0.1}


def test_a_setting_that_changes_nothing_is_on_no_edge(swept):
    chosen = swept({"a": {rate: [0.4, 0.4] for rate in GRID["rate"]}})
    assert chosen["a"]["values"] == {"rate": 0.1} and chosen["a"]["on_edge"] == {"rate": False}


def test_an_arm_without_runs_is_left_out(swept):
    chosen = swept({"a": {rate: [0.4, 0.4] for rate in GRID["rate"]}}, arms=["a", "unavailable"])
    assert list(chosen) == ["a"]


def test_the_reported_runs_have_the_chosen_setting_and_their_own_seeds(tmp_path):
    from reidflow.spec import plan

    arms = plan.make(["config/config.yaml"]).experiments["losses"].arms
    points = {name: [[values, spec.plain()] for values, spec in arms[name].points] for name in ("triplet", "circle")}
    rates = {"triplet": 0.01, "circle": 0.03}
    choices = {name: {"values": {"optimizer.learning_rate": rate}} for name, rate in rates.items()}
    (tmp_path / "chosen.json").write_text(json.dumps(choices))
    runs = chosen_runs(points, [("triplet", 0), ("circle", 3), ("triplet", 4)], str(tmp_path / "chosen.json"), {})
    assert [(run.loss["name"], run.seed, run.optimizer["learning_rate"]) for run in runs] == [
        ("triplet", 0, 0.01),
        ("circle", 3, 0.03),
        ("triplet", 4, 0.01),
    ]
