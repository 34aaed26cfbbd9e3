"""A run spec that no run could follow is an error: its geometry, its inference and its ensemble fit together."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from reidflow.spec.config import Config
from reidflow.spec.merge import merge
from reidflow.spec.run import MEMBER_SEEDS, RunSpec
from reidflow.spec.yaml import load

ROOT = Path(__file__).parents[3]
HEAD = {"name": "head"}
BASE = Config.model_validate(load(ROOT / "config" / "tiny.yaml")).protocol.plain()
LORENTZ = {"model": {"geometry": "lorentz", "trainable": HEAD}}


def spec(*changes):
    plain = BASE
    for change in changes:
        plain = merge(plain, change)
    return RunSpec.model_validate(plain)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([LORENTZ, {"loss": "arcface"}], "loss 'arcface' works on angles alone.*choose one of .*triplet"),
        (
            [LORENTZ, {"loss": "triplet", "model": {"trainable": {"name": "none"}}}],
            "trained into a head: trainable: none",
        ),
        ([LORENTZ, {"loss": "triplet", "ensemble": {"seeds": 2}}], "cannot be joined: combine: average"),
        ([{"ensemble": {"seeds": 2, "combine": "average"}, "inference": ["query_expansion"]}], "concatenate"),
        ([{"ensemble": {"seeds": 2}, "seed": MEMBER_SEEDS}], "the seed of an ensemble is below"),
        ([{"ensemble": {"members": [{"seed": 1}]}}], "a member of an ensemble does not set 'seed'"),
        ([{"ensemble": {}}], "an ensemble has 'seeds' of 2 or more, or 'members'"),
        ([{"inference": ["k_reciprocal", "query_expansion"]}], "put it last"),
    ],
)
def test_settings_that_do_not_fit_together_are_an_error(changes, message):
    with pytest.raises(ValidationError, match=message):
        spec(*changes)


def test_the_members_of_an_ensemble_have_seeds_and_settings_of_their_own():
    runs = spec({"ensemble": {"seeds": 2, "members": [{"epochs": 3}]}}).with_seed(5).runs()
    assert [(run.epochs, run.seed) for run in runs] == [
        (BASE["epochs"], 5),
        (BASE["epochs"], 5 + MEMBER_SEEDS),
        (3, 5),
        (3, 5 + MEMBER_SEEDS),
    ]
    assert all(run.ensemble is None for run in runs)
