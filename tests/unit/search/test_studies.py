"""What a study's trials depend on: its settings, and neither workers nor timing nor what is stored."""

import shutil

import pytest
from search_cases import MEDIAN, SPACE, MadeSource, forget_journals, no_training, small_spec, study, worked

from reidflow.search.study_key import study_key
from reidflow.search.trials_table import COLUMNS, spent
from reidflow.spec.errors import ReidflowError
from reidflow.spec.search import TABLE
from reidflow.store.runs import LARGE, RunStore

ALGORITHMS = ["random", "tpe", "quasi_random", "nsga2", "evolution"]
never = pytest.fixture(no_training)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Results and record of a TPE study on which one worker worked."""
    results = tmp_path_factory.mktemp("alone")
    return results, worked(results, study("tpe"))


def test_a_record_says_what_came_of_every_trial(alone):
    results, record = alone
    assert [trial["trial"] for trial in record["trials"]] == list(range(12))
    assert [trial["generation"] for trial in record["trials"]] == [0] * 4 + [1] * 4 + [2] * 4
    assert [trial["seed"] for trial in record["trials"]] == list(range(1000, 1012))
    states = {trial["state"] for trial in record["trials"]}
    assert {"complete", "pruned"} <= states
    for trial in record["trials"]:
        store = RunStore(results / ".store")
        assert store.has(trial["run"], LARGE) and not store.has(trial["run"])
        assert len(trial["values"]) == trial["epochs"] + 1
        assert trial["spec"]["seed"] == trial["seed"] and set(trial["settings"]) == set(SPACE)
        if trial["state"] == "pruned":
            assert trial["value"] is None and trial["spec"]["stop"] == trial["epochs"] < 4
        elif trial["state"] == "complete":
            assert trial["value"] == trial["values"][trial["best_epoch"]] and trial["spec"]["stop"] is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_longer_budget_continues_the_study(tmp_path, algorithm):
    three = {"generation": 3, "finalists": 0, "base": small_spec(epochs=2)}
    short = worked(tmp_path / "grown", study(algorithm, trials=4, **three))
    grown = worked(tmp_path / "grown", study(algorithm, trials=8, **three))
    at_once = worked(tmp_path / "at_once", study(algorithm, trials=8, **three))
    assert grown == at_once and grown["trials"][:4] == short["trials"]
    assert worked(tmp_path / "grown", study(algorithm, trials=4, **three)) == short


def test_a_lost_journal_comes_back_from_the_stored_runs_without_training(alone, never):
    results, record = alone
    forget_journals(results)
    assert worked(results, study("tpe")) == record


def test_a_whole_run_is_not_believed_where_the_pruner_would_have_ended_it(tmp_path):
    """The run store may know a trial's whole run, from an experiment that pruned nothing."""
    unpruned = worked(tmp_path, study(pruner="none", trials=8, finalists=0))
    assert all(trial["state"] != "pruned" for trial in unpruned["trials"])
    first = worked(tmp_path, study(trials=8, finalists=0))
    assert any(trial["state"] == "pruned" for trial in first["trials"])
    assert first == worked(tmp_path / "fresh", study(trials=8, finalists=0))


def test_a_lost_run_of_a_finished_trial_is_made_again(alone):
    results, record = alone
    run = next(trial["run"] for trial in record["trials"] if trial["state"] == "pruned")
    store = RunStore(results / ".store")
    shutil.rmtree(store.folder(run))
    assert worked(results, study("tpe")) == record and store.has(run, LARGE)


@pytest.mark.parametrize("pruner", [MEDIAN, {"name": "successive_halving", "factor": 2}])
def test_pruning_sees_earlier_generations_and_the_trial_itself_alone(tmp_path, pruner):
    """In generations of one a trial is judged by all before it; in one generation nobody is judged by anybody."""
    together = worked(tmp_path / "together", study(pruner=pruner, trials=8, generation=8, finalists=0))
    one_by_one = worked(tmp_path / "one_by_one", study(pruner=pruner, trials=8, generation=1, finalists=0))
    assert any(trial["state"] == "pruned" for trial in one_by_one["trials"])
    assert all(trial["state"] != "pruned" for trial in together["trials"])


def test_a_matched_study_ends_with_the_first_trial_that_reaches_the_steps(tmp_path):
    one = {"axes": study().axes[:1], "finalists": 0}
    matched = study(trials=None, matched_to="other", **one)
    steps = [trial["steps"] for trial in worked(tmp_path / "longer", study(**one))["trials"]]
    for wanted, trials in ((sum(steps[:7]), 7), (sum(steps[:7]) - 1, 7), (sum(steps[:7]) + 1, 8), (1, 1)):
        record = worked(tmp_path / "one", matched, matched_steps=wanted)
        assert len(record["trials"]) == trials and spent(record) >= wanted
        assert [trial["steps"] for trial in record["trials"]] == steps[:trials]


def test_the_winner_has_the_best_mean_over_fresh_seeds(alone):
    record = alone[1]
    complete = [trial for trial in record["trials"] if trial["state"] != "pruned"]
    best = [trial["trial"] for trial in sorted(complete, key=lambda trial: -trial["value"])[:2]]
    assert [(run["trial"], run["seed"]) for run in record["finalists"]] == [(t, s) for t in best for s in (100, 101)]
    means = {t: sum(run["value"] for run in record["finalists"] if run["trial"] == t) / 2 for t in best}
    assert record["winner"] == max(best, key=lambda trial: (means[trial], -trial))


def test_without_finalists_the_best_trial_wins_the_earlier_of_equal_ones(tmp_path):
    axes = study(space={"model.head.hidden": [0, 8], "epochs": [1, 2]}).axes
    record = worked(tmp_path, study(axes=axes, finalists=0, pruner="none", trials=6))
    values = [trial["value"] for trial in record["trials"]]
    assert record["winner"] == values.index(max(values)) and record["finalists"] == []


def test_settings_that_make_no_run_stop_the_study_and_are_named(tmp_path):
    space = {"model.geometry": [{"name": "hypersphere"}, {"name": "poincare"}], "loss": ["arcface", "triplet"]}
    with pytest.raises(ReidflowError, match=r"study 'one' of 'made', trial \d+ \(model.geometry: .*\): (?s:.*)space"):
        worked(tmp_path, study("quasi_random", axes=study(space=space).axes, base=small_spec(loss="triplet")))


def test_a_training_that_cannot_be_stops_the_study_and_is_named(tmp_path):
    axes = study(space={"resizing": {"choices": {"none": {}, "no": {"patience": 1}}}, "epochs": [1, 2]}).axes
    with pytest.raises(ReidflowError, match=r"trial 0 .*cannot be trained"):
        worked(tmp_path, study(axes=axes, pruner="none"), roles="train train train test test test test")


def test_code_is_confirmed_once_before_the_first_training_and_never_without_one(tmp_path):
    calls = []
    worked(tmp_path, study(trials=5), confirm=lambda: calls.append(1))
    assert calls == [1]
    worked(tmp_path, study(trials=5), confirm=lambda: calls.append(2))
    assert calls == [1]
    with pytest.raises(ReidflowError, match=r"^the code changed"):
        worked(tmp_path, study(trials=6), confirm=_changed)


def _changed():
    raise ReidflowError("the code changed")


def test_no_axis_can_be_called_as_another_column_of_the_table():
    assert list(COLUMNS) == TABLE


def test_a_study_is_known_by_all_that_decides_its_trials_and_not_by_its_budget():
    source = MadeSource()
    key = study_key(study(), source)
    assert key == study_key(study(trials=40), source)
    others = [study("tpe"), study(pruner="none"), study(seed=1), study(generation=5), study(base=small_spec(epochs=5))]
    keys = [study_key(other, source) for other in others] + [study_key(study(), MadeSource(roles="train val test"))]
    assert len({key, *keys}) == 7
