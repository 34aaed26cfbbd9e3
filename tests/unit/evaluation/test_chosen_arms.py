"""The best experiment is the arm with the highest mean validation mAP; test scores, diverged runs and order do not help."""

import json
from itertools import permutations

import polars as pl
import pytest

from reidflow.evaluation.runs import METRICS
from reidflow.evaluation.selection import (
    CANDIDATES,
    CandidateExperiment,
    choose_best,
    choose_tuned,
    chosen_values,
    rank,
)
from reidflow.spec.errors import ReidflowError
from reidflow.store.runs import RunStore
from reidflow.training.execute import chosen_runs


def candidate(arms, diverged=(), test=0.5, specs=None):
    """Return a candidate with arm -> validation mAP of the seeds 3, 4, ...; diverged: (arm, seed)."""
    rows = [
        {"arm": arm, "seed": seed, "val_id_map": value, "diverged": (arm, seed) in diverged, "id_map": test}
        for arm, values in arms.items()
        for seed, value in enumerate(values, 3)
    ]
    frame = pl.DataFrame(rows, schema={name: METRICS.columns[name] for name in rows[0]})
    return CandidateExperiment(frame, {arm: (specs or {}).get(arm, {"loss": arm, "seed": 3}) for arm in arms})


def winner(candidates):
    chosen = choose_best(candidates)[CANDIDATES]
    return chosen["experiment"], chosen["arm"]


def test_the_highest_mean_on_validation_wins_whatever_the_test_says():
    found = {
        "losses": candidate({"steady": [0.6, 0.6], "lucky": [0.9, 0.2]}, test=0.9),
        "rates": candidate({"fast": [0.7, 0.6]}, test=0.1),
    }
    assert winner(found) == ("rates", "fast")
    assert [(entry["arm"], entry["val_id_map"]) for entry in rank(found)] == [
        ("fast", pytest.approx(0.65)),
        ("steady", pytest.approx(0.6)),
        ("lucky", pytest.approx(0.55)),
    ]


def test_the_choice_tells_the_run_and_the_seeds_that_chose_it():
    chosen = choose_best({"losses": candidate({"a": [0.4, 0.8], "b": [0.1]})})[CANDIDATES]
    assert chosen == {
        "experiment": "losses",
        "arm": "a",
        "spec": {"loss": "a", "seed": 0},
        "val_id_map": pytest.approx(0.6),
        "seeds": [3, 4],
    }
    json.dumps(chosen)


def test_a_diverged_run_and_one_without_a_score_count_as_nothing():
    values = {"good": [0.5, 0.5], "burst": [0.9, 0.9], "lost": [0.9, None], "broken": [0.95, float("nan")]}
    found = {"losses": candidate(values, diverged={("burst", 4)})}
    ranking = {entry["arm"]: entry for entry in rank(found)}
    assert winner(found) == ("losses", "good")
    assert ranking["burst"]["values"] == [0.9, 0.0] and ranking["burst"]["diverged"] == 1
    assert ranking["lost"]["values"] == [0.9, 0.0] and ranking["broken"]["val_id_map"] == 0.475


def test_ties_go_to_the_arm_that_stands_first_and_nothing_else_depends_on_the_order():
    tied = {"first": candidate({"a": [0.2], "b": [0.1 + 0.2, 0.3]}), "then": candidate({"c": [0.3, 0.1 + 0.2]})}
    assert winner(tied) == ("first", "b")
    assert winner(dict(reversed(tied.items()))) == ("then", "c")
    apart = {"x": candidate({"a": [0.1, 0.2, 0.7]}), "y": candidate({"b": [0.4]}), "z": candidate({"c": [0.3]})}
    rankings = [rank({name: apart[name] for name in order}) for order in permutations(apart)]
    assert all(ranking == rankings[0] for ranking in rankings)
    shuffled = {name: CandidateExperiment(found.metrics.reverse(), found.specs) for name, found in apart.items()}
    assert rank(shuffled) == rankings[0]


def test_the_same_run_under_two_names_is_one_configuration():
    specs = {"a": {"loss": "l", "seed": 3}, "b": {"loss": "l", "seed": 9}, "c": {"loss": "m", "seed": 3}}
    ranking = rank({"x": candidate({arm: [0.5] for arm in specs}, specs=specs)})
    digests = {entry["arm"]: entry["configuration"] for entry in ranking}
    assert digests["a"] == digests["b"] != digests["c"]


def test_candidates_without_validation_are_refused_by_name():
    with pytest.raises(ReidflowError, match=r"losses.*has a validation mAP"):
        choose_best({"losses": candidate({"a": [None], "b": [None]})})


def test_an_arm_without_runs_is_refused_by_name():
    found = candidate({"a": [0.5]})
    with pytest.raises(ReidflowError, match=r"'losses'.*'gone'"):
        choose_best({"losses": CandidateExperiment(found.metrics, {**found.specs, "gone": {}})})


GRID = {"rate": [0.1, 0.2, 0.3]}


@pytest.fixture
def swept(tmp_path):
    """Return a function that plants finished runs, arm -> rate -> validation mAP by seed, and chooses."""

    def plant(*splits, diverged=(), arms=None, ranked=None):
        records = []
        for split, scores in enumerate(splits):
            records += planted(scores, split, diverged)
        half = len(records) // 2
        files = [tmp_path / "one.json", tmp_path / "two.json"]
        for file, runs in zip(files, (records[:half], records[half:]), strict=True):
            file.write_text(json.dumps({"runs": runs, "unavailable": {}}))
        points = {arm: [[{"rate": rate}, spec(arm, rate)] for rate in GRID["rate"]] for arm in arms or splits[0]}
        return choose_tuned(GRID, points, files, tmp_path, ranked)

    def planted(scores, split, diverged):
        records = []
        for arm, points in scores.items():
            for rate, values in points.items():
                for seed, value in enumerate(values, 100):
                    key = f"{split}{arm}{rate}{seed}".replace(".", "").ljust(32, "0")
                    # The kept epoch is the second one: the last has another score.
                    history = pl.DataFrame({"epoch": [1, 2, 3], "val_id_map": [0.0, value, 0.9]})
                    kept = json.dumps({"best_epoch": 2, "diverged": (arm, rate, seed) in diverged})

                    def make(work, out, history=history, kept=kept):
                        history.write_parquet(out / "history.parquet")
                        (out / "provenance.json").write_text(kept)

                    RunStore(tmp_path / ".store").get_or_make(key, make)
                    own = spec(arm, rate) | {"seed": seed}
                    records.append({"arm": arm, "split": split, "seed": seed, "key": key, "spec": own})
        return records

    return plant


def spec(arm, rate):
    return {"arm": arm, "rate": rate, "seed": 0}


def test_settings_are_chosen_among_candidates_of_the_query_flank_where_the_split_says_so(swept):
    class OfFlank:
        restricted = True

        def score(self, run, spec, store):
            return {0.1: 0.2, 0.2: 0.3, 0.3: 0.8}[spec["rate"]]

    planted = {"a": {0.1: [0.9, 0.9], 0.2: [0.6, 0.6], 0.3: [0.5, 0.5]}}
    chosen = swept(planted, ranked=OfFlank(), diverged={("a", 0.3, 100)})["a"]
    assert chosen["values"] == {"rate": 0.3} and chosen["points"][2]["seeds"] == {"100": 0.0, "101": 0.8}


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

    arms = plan.make(["config/config.yaml"], {"overrides": None}).experiments["losses"].arms
    points = {name: [[values, spec.plain()] for values, spec in arms[name].points] for name in ("triplet", "circle")}
    rates = {"triplet": 0.01, "circle": 0.03}
    choices = {name: {"values": {"optimizer.learning_rate": rate}} for name, rate in rates.items()}
    (tmp_path / "chosen.json").write_text(json.dumps(choices))
    wanted = [("triplet", 0, 0), ("circle", 3, 0), ("triplet", 4, 0)]
    runs = chosen_runs(points, wanted, str(tmp_path / "chosen.json"), {})
    assert [(run.loss["name"], run.seed, run.optimizer["learning_rate"]) for run in runs] == [
        ("triplet", 0, 0.01),
        ("circle", 3, 0.03),
        ("triplet", 4, 0.01),
    ]


def test_each_fold_chooses_on_its_own_validation_images_alone(swept, tmp_path):
    first = {
        "a": {0.1: [0.9, 0.9], 0.2: [0.2, 0.2], 0.3: [0.1, 0.1]},
        "b": {0.1: [0.1] * 2, 0.2: [0.8] * 2, 0.3: [0.3] * 2},
    }
    other = {
        "a": {0.1: [0.1, 0.1], 0.2: [0.2, 0.2], 0.3: [0.7, 0.5]},
        "b": {0.1: [0.2] * 2, 0.2: [0.6] * 2, 0.3: [0.3] * 2},
    }
    chosen = swept(first, other)
    assert chosen["a"]["by_split"] == [{"rate": 0.1}, {"rate": 0.3}] and chosen["a"]["values"] == {"rate": [0.1, 0.3]}
    assert chosen["b"]["by_split"] == [{"rate": 0.2}] * 2 and chosen["b"]["values"] == {"rate": 0.2}
    assert chosen["a"]["on_edge"] == {"rate": True} and chosen["b"]["on_edge"] == {"rate": False}
    assert [point["val_id_map"] for point in chosen["a"]["points"]] == [pytest.approx(v) for v in (0.5, 0.2, 0.35)]
    assert chosen["a"]["points"][2]["seeds"] == {"100": pytest.approx(0.4), "101": pytest.approx(0.3)}
    # What a fold finds depends on its own sweep alone.
    assert [chosen_values(chosen["a"], split) for split in (0, 1)] == [{"rate": 0.1}, {"rate": 0.3}]


def test_the_runs_of_a_fold_have_the_setting_that_was_chosen_in_it(tmp_path):
    from reidflow.spec import plan

    arm = plan.make(["config/config.yaml"], {"overrides": None}).experiments["losses"].arms["triplet"]
    points = {"triplet": [[values, spec.plain()] for values, spec in arm.points]}
    by_split = [{"optimizer.learning_rate": rate} for rate in (0.03, 0.01)]
    (tmp_path / "chosen.json").write_text(json.dumps({"triplet": {"values": {}, "by_split": by_split}}))
    wanted = [("triplet", seed, split) for split in (0, 1) for seed in (0, 1)]
    runs = chosen_runs(points, wanted, str(tmp_path / "chosen.json"), {})
    assert [(run.seed, run.optimizer["learning_rate"]) for run in runs] == [(0, 0.03), (1, 0.03), (0, 0.01), (1, 0.01)]
