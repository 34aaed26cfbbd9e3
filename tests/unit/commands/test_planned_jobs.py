"""Estimates, runs and texts of a plan, on hand-made jobs and a store whose content is known."""

import dataclasses
import json
from pathlib import Path

import pytest

from reidflow.commands import plan as commands
from reidflow.commands.plan_dag import Dag, PlannedJob
from reidflow.commands.runs import CHOICE, DATA, LOOK, SEARCH, JobRuns, Runs, unique
from reidflow.spec import plan as plans

ROOT = Path(__file__).parents[3]
LOSSES = "tiny_losses"


@pytest.fixture(scope="module")
def made():
    return plans.make([ROOT / "config" / "tiny.yaml"], root=ROOT)


def job(rule, *, before=None, threads=1, gpus=0, experiment=LOSSES, upstream=(), **more):
    wildcards = {"experiment": experiment} if experiment else {}
    named = PlannedJob(rule, {**wildcards, **more}, [f"results-tiny/{rule}"], [], threads, gpus, list(upstream))
    named.seconds_before = before
    return named


def dag(made, jobs, seconds, cores=2, nodes=None):
    return Dag(made, Path("results-tiny"), jobs, len(jobs) + 3, cores, nodes, [], "", 0, seconds, {})


def times(found, jobs):
    return commands._time(found, [commands._seconds(found, job) for job in jobs])


def test_an_estimate_is_the_recorded_time_of_each_job_over_the_cores(made):
    jobs = [job("table", before=10.0), job("page"), job("train", before=30.0, threads=2, gpus=1), job("new")]
    found = times(dag(made, jobs, {"page": [4.0, 6.0, 90.0]}), jobs)
    assert found["work_seconds"] == 46.0 and found["seconds"] == (10 + 6 + 2 * 30) / 2
    assert (found["gpu_seconds"], found["gpu_jobs"], found["unknown"]) == (30.0, 1, {"new": 1})


def test_on_a_cluster_work_is_divided_by_the_jobs_at_once(made):
    jobs = [job("train", before=30.0, threads=4), job("train", before=50.0, threads=4)]
    assert times(dag(made, jobs, {}, cores=None, nodes=4), jobs)["seconds"] == 20.0


def test_the_text_says_what_runs_why_and_how_long(made, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    jobs = [job("train", before=60.0, batch="0"), job("table", before=20.0, upstream=[0]), job("new", experiment="")]
    why = [["arcface: loss.margin 0.5 -> 0.4"], [], ["not made yet"]]
    monkeypatch.setattr(commands, "reasons", lambda dag: why)
    found = commands.plan(dag(made, jobs, {}), [])
    assert commands.lines(found, verbose=True) == [
        "3 of 6 jobs would run; 3 are up to date.",
        "6 runs would be trained.",
        "About 40 s on 2 cores (80 s of work by the recorded times of earlier jobs), no job requests a GPU.",
        "Not counted, since none has run here yet: new.",
        "",
        "experiment                 jobs  runs to train  from the store  undecided  work",
        "tiny_losses                2     6              -               -          80 s",
        "shared by all experiments  1     -              -               -          1 unknown",
        "",
        "tiny_losses",
        "  arcface: loss.margin 0.5 -> 0.4  (train)",
        "  because of the above: 1 job (table)",
        "",
        "shared by all experiments",
        "  not made yet  (new)",
        "",
        "jobs, in an order in which they may run",
        "  train experiment=tiny_losses batch=0: arcface: loss.margin 0.5 -> 0.4 (60 s)",
        "  table experiment=tiny_losses: because of the above (20 s)",
        "  new: not made yet (unknown)",
    ]


def test_the_first_estimate_is_by_the_times_of_the_demo(made):
    jobs = [job("train", experiment="losses"), job("table", before=10.0)]
    found = times(dag(made, jobs, {}), jobs)
    assert found["shipped"] == 1 and found["work_seconds"] > 10.0 and not found["unknown"]
    assert (
        "by the recorded times of earlier jobs; those of the demo where no such job ran here)"
        in commands._times(found)[0]
    )


def test_a_reason_of_many_experiments_is_printed_once():
    groups = [
        {"experiment": name, "why": [{"text": "x changed", "jobs": {"page": 1}}], "following": {}} for name in "abc"
    ]
    assert commands.sections(groups) == [("several experiments", ["x changed  (3 jobs of a, b, c)"])]
    assert [heading for heading, _ in commands.sections(groups[:2])] == ["a", "b"]


def test_up_to_date_results_are_one_sentence(made):
    (line,) = commands.lines(commands.plan(dag(made, [], {}), [LOSSES]))
    assert line.startswith(f"Nothing would run for {LOSSES}: every result is up to date")


class Known:
    """Data under which the key of a run is its loss, learning rate and seed."""

    def known_key(self, spec):
        return f"{spec.loss['name']} {spec.optimizer['learning_rate']} {spec.seed}"


@pytest.fixture
def lookup(made, tmp_path, monkeypatch):
    """Return a function that looks up the runs of a job, where some keys are stored."""
    monkeypatch.chdir(tmp_path)

    def look(rule, stored, rebuilt=(), data=True, data_change=False, **wildcards):
        Path("results-tiny/.store/runs").mkdir(parents=True, exist_ok=True)
        runs = Runs(made, rebuilt)
        runs._source = lambda split: Known() if data else None
        runs.store.has = lambda key, without: key in stored
        return runs.of(rule, {"experiment": LOSSES, "batch": "0", **wildcards}, data_change)

    return look


def test_seeds_of_later_looks_are_undecided_until_the_look_before_has_said_who_gets_them(tmp_path, monkeypatch):
    added = {"seeds": {"from": 2, "to": 3, "step": 1, "until": "decided"}, "tuned": {"optimizer.learning_rate": [0.01]}}
    made = plans.make([ROOT / "config" / "tiny.yaml"], {"overrides": {LOSSES: added}}, root=ROOT)
    monkeypatch.chdir(tmp_path)
    looks = Path("results-tiny/experiments") / LOSSES / "looks"
    Path("results-tiny/.store/runs").mkdir(parents=True)

    def runs(batch, rebuilt=()):
        found = Runs(made, rebuilt)
        found._source = lambda split: Known()
        return found.of("train", {"experiment": LOSSES, "batch": batch})

    assert len(runs("0").train) == 6 and not runs("0").why
    assert len(runs("1").undecided) == 3 and runs("1").why == [LOOK]
    looks.mkdir(parents=True)
    (looks / "0.json").write_text(json.dumps({"more": ["cross_entropy", "triplet"]}))
    assert sorted(runs("1").train) == ["cross_entropy 0.01 2", "triplet 0.01 2"] and not runs("1").why
    assert runs("1", {str(looks / "0.json")}).why == [LOOK], "it may say something else when it is made again"


def margins(found):
    return sorted(unique([found], "train")), sorted(unique([found], "stored")), found.why


def test_runs_of_a_sweep_are_stored_or_trained_by_their_keys(lookup, made):
    keys = {Known().known_key(spec) for _, spec, _ in made.sweep(LOSSES)[0]}
    first = min(keys)
    assert margins(lookup("sweep", {first})) == (sorted(keys - {first}), [first], [])


def test_runs_are_undecided_while_their_data_are_missing_or_change(lookup, made):
    for missing in ({"data": False}, {"data_change": True}):
        found = lookup("sweep", set(), **missing)
        assert len(found.undecided) == len(made.sweep(LOSSES)[0]) and found.why == [DATA] and not found.train
    assert len(lookup("sweep", {Known().known_key(s) for _, s, _ in made.sweep(LOSSES)[0]}, data_change=True).expected)


def choose(made, position):
    """Write the choice of the sweep: one point of the grid for all arms."""
    arms = made.experiments[LOSSES].arms.values()
    chosen = {arm.name: {"values": arm.points[position][0]} for arm in arms}
    path = Path("results-tiny/experiments", LOSSES, "chosen.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(chosen))
    return str(path)


def test_reported_runs_are_those_of_the_choice(lookup, made):
    choose(made, 1)
    trained, stored, why = margins(lookup("train", {"arcface 0.01 0"}))
    assert stored == ["arcface 0.01 0"] and "arcface 0.01 1" in trained and not why
    assert all(" 0.01 " in key for key in trained)


def test_reported_runs_are_undecided_while_the_choice_is_made_again(lookup, made):
    path = choose(made, 1)
    found = lookup("train", {"arcface 0.01 0"}, rebuilt=[path])
    assert found.undecided and found.why == [CHOICE]
    # Where all sweep runs of an arm are stored, it is the same choice again.
    swept = {f"arcface {rate} 100" for rate in (0.001, 0.01)}
    found = lookup("train", {"arcface 0.01 0", *swept}, rebuilt=[path])
    assert list(found.stored) == ["arcface 0.01 0"]


def test_an_arm_that_wins_a_search_is_undecided_until_the_search_has_ended(lookup, made, monkeypatch):
    experiment = made.experiments[LOSSES]
    winner = dataclasses.replace(experiment.arms["arcface"], winner_of="tpe")
    changed = dataclasses.replace(experiment, arms={**experiment.arms, "arcface": winner})
    monkeypatch.setitem(made.experiments, LOSSES, changed)
    choose(made, 1)
    found = lookup("train", set())
    assert found.why == [CHOICE] and len(found.undecided) == len(winner.seeds)


def test_jobs_that_train_nothing_have_no_runs(lookup):
    assert lookup("table", set()) is None


def test_runs_of_two_jobs_are_counted_once():
    one, both = JobRuns(train={"a": 1}), JobRuns(train={"a": 1, "b": 2}, why=[SEARCH, CHOICE])
    assert commands._counts([one, None, both]) == {
        "train": 2,
        "stored": 0,
        "undecided": 0,
        "expected": 0,
        "why": [SEARCH, CHOICE],
    }
