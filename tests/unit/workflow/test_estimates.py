from pathlib import Path

import pytest

from reidflow.commands.plan_dag import PlannedJob
from reidflow.commands.times import times
from reidflow.spec import plan
from reidflow.workflow import estimates
from reidflow.workflow.estimates import START, Estimates, shipped

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def known(monkeypatch):
    seconds = {"train": {"losses": 104.0, "geometry": 204.0}, "split": {"": 1.0}}
    monkeypatch.setattr(estimates, "shipped", lambda: {"images": 100, "seconds": seconds})


@pytest.mark.parametrize(
    ("rule", "experiment", "before", "expected"),
    [
        ("train", "losses", 7.0, 7.0),  # its own time
        ("train", "losses", None, 104.0),  # that of the same experiment of the demo
        ("train", "mine", None, 20.0),  # those of its rule here
        ("split", "", None, 1.0),
        ("table", "mine", None, None),
    ],
)
def test_the_time_of_the_most_similar_job_counts(rule, experiment, before, expected):
    assert Estimates({"train": [10.0, 20.0, 90.0]}, 100).seconds(rule, experiment, before) == expected


def test_without_times_from_here_the_demos_are_averaged():
    assert Estimates({}, 100).seconds("train", "mine", None) == 154.0


def test_shipped_times_scale_with_the_images_but_for_the_start():
    assert Estimates({}, 50).seconds("train", "losses", None) == START + 50.0
    assert Estimates({}, 50).seconds("split", "", None) == 1.0


def test_of_other_data_the_demo_says_nothing():
    assert Estimates({}, None).seconds("train", "losses", None) is None


def test_times_are_means_by_rule_and_experiment():
    def job(rule, before, **wildcards):
        return PlannedJob(rule, wildcards, [], [], 1, 0, seconds_before=before)

    jobs = [
        job("train", 1.0, experiment="a"),
        job("train", 2.06, experiment="a"),
        job("split", 3.0),
        job("new", None),
    ]
    assert times(jobs, 640) == {"images": 640, "seconds": {"split": {"": 3.0}, "train": {"a": 1.5}}}


def test_the_shipped_times_are_of_rules_with_experiments():
    found = shipped()
    assert found["images"] > 0 and found["seconds"]["train"].keys() >= {"losses"}
    assert all(took >= 0 for own in found["seconds"].values() for took in own.values())


def test_a_plan_without_jobs_is_estimated_by_its_runs_its_images_and_their_size(monkeypatch):
    monkeypatch.setattr(
        estimates,
        "shipped",
        lambda: {"images": 100, "seconds": {"features": {"": 14.0}, "train": {"x": 24.0}, "page": {"x": 3.0}}},
    )
    made = plan.make([ROOT / "config" / "tiny.yaml"], root=ROOT)
    trained = sum(len(made.training(name)) for name in made.experiments)
    expected = len(made.banks()) * (4 + 20) * 4 + trained * (4 + 40) + 3 * len(made.experiments)
    assert estimates.planned_seconds(made, 200, made.config.protocol.model.size // 2) == pytest.approx(expected)
