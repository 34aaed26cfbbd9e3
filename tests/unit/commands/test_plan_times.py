"""Estimates on hand-made records, and schedules that can be worked out by hand."""

import pytest

from reidflow.commands.plan_times import (
    ANY_FEATURES,
    NETWORK,
    SAME,
    SIMILAR,
    Finished,
    Speeds,
    Work,
    makespan,
)


def spec(backbone="resnet", trainable="all", loss="arcface", size=100, epochs=10, **more):
    model = {"backbone": {"name": "timm", "model": backbone}, "trainable": {"name": trainable}, "size": size}
    return {"model": model, "loss": {"name": loss}, "epochs": epochs, "seed": 0, **more}


def finished(seconds, images=100, device="cpu", **settings):
    return Finished(spec(**settings), seconds, images, device)


def test_a_run_like_earlier_ones_takes_their_median_scaled_by_epochs_and_images():
    speeds = Speeds([finished(10.0), finished(20.0), finished(90.0)], "cpu")
    assert speeds.guess(spec(), 100) == (20.0, 3, SAME)
    assert speeds.guess(spec(epochs=20), 100) == (40.0, 3, SAME)
    assert speeds.guess(spec(), 300) == (60.0, 3, SAME)
    assert speeds.guess(spec(), None) == (20.0, 3, SAME)


def test_the_most_alike_runs_count():
    speeds = Speeds([finished(10.0, views=1), finished(20.0, views=2), finished(30.0, loss="triplet")], "cpu")
    assert speeds.guess(spec(views=2), 100) == (20.0, 1, SAME)
    assert speeds.guess(spec(views=3), 100) == (15.0, 2, SIMILAR)
    assert speeds.guess(spec(loss="circle"), 100) == (20.0, 3, NETWORK)


def test_larger_images_take_longer_by_their_area_unless_features_are_stored():
    assert Speeds([finished(10.0)], "cpu").guess(spec(size=200), 100).seconds == pytest.approx(40.0)
    frozen = Speeds([finished(10.0, trainable="head")], "cpu")
    assert frozen.guess(spec(size=200, trainable="head"), 100).seconds == 10.0


def test_nothing_is_invented_for_what_was_never_trained():
    assert Speeds([], "cpu").guess(spec(), 100) is None
    assert Speeds([finished(10.0)], "cpu").guess(spec(backbone="swin"), 100) is None
    assert Speeds([finished(10.0)], "cpu").guess(spec(trainable="head"), 100) is None
    assert Speeds([finished(10.0, device="cuda:1")], "cpu").guess(spec(), 100) is None
    assert Speeds([finished(10.0, device="cuda:1")], "cuda").guess(spec(), 100).seconds == 10.0


def test_runs_on_features_compare_whatever_network_made_the_features():
    speeds = Speeds([finished(2.0, trainable="head")], "cpu")
    assert speeds.guess(spec(backbone="swin", trainable="head"), 100) == (2.0, 1, ANY_FEATURES)


@pytest.mark.parametrize(
    ("jobs", "cores", "cards", "expected"),
    [
        ([], 2, 1, 0),
        ([Work(3), Work(4), Work(5)], 1, 1, 12),
        ([Work(3), Work(4), Work(5)], 2, 1, 8),
        ([Work(3), Work(4), Work(5)], None, None, 5),
        ([Work(3), Work(4, upstream=[0]), Work(5, upstream=[0, 1])], 8, 1, 12),
        ([Work(3, cards=1), Work(4, cards=1)], 8, 1, 7),
        ([Work(3, cards=1), Work(4, cards=1)], 8, 2, 4),
        ([Work(3, cards=1), Work(4)], 8, 1, 4),
        # A request is lowered to what there is, as Snakemake does.
        ([Work(3, threads=4), Work(4, threads=4)], 2, 1, 7),
        ([Work(3, threads=2), Work(4), Work(1)], 3, 1, 4),
    ],
)
def test_a_schedule_takes_as_long_as_worked_out_by_hand(jobs, cores, cards, expected):
    assert makespan(jobs, cores, cards) == expected


def test_a_cluster_runs_so_many_jobs_at_once():
    assert makespan([Work(3), Work(4), Work(5)], None, None, 2) == 8
