"""Small studies on made features, and workers on them in processes of their own."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from training_cases import small_data, small_spec

from reidflow.search.work import work
from reidflow.spec.components import resolve
from reidflow.spec.search import Search as SearchFile
from reidflow.spec.search import Study, axes_of
from reidflow.store.runs import RunStore, run_key

SPACE = {
    "optimizer.learning_rate": {"low": 0.0001, "high": 0.3, "log": True},
    "model.head.hidden": [0, 8, 16],
    "model.head.dropout": {"low": 0.0, "high": 0.6, "step": 0.2},
    "neck": {"choices": {"narrow": {"model": {"head": {"dim": 4}}}, "wide": {"model": {"head": {"dim": 16}}}}},
}
MEDIAN = {"name": "median", "startup": 3, "warmup": 1}


def study(algorithm="random", space=SPACE, pruner=MEDIAN, **changes) -> Study:
    """A study on the small features: 12 trials of 4 epochs in generations of 4."""
    file = SearchFile.model_validate({"trials": 2, "space": space, "studies": {"one": {"algorithm": algorithm}}})
    settings = {
        "experiment": "made",
        "name": "one",
        "algorithm": resolve("algorithm", algorithm),
        "pruner": resolve("pruner", pruner),
        "trials": 12,
        "matched_to": None,
        "generation": 4,
        "finalists": 2,
        "seed": 0,
        "first_seed": 1000,
        "sweep_seeds": (100, 101),
        "base": small_spec(epochs=4),
        "axes": axes_of(file.space),
    }
    return Study(**(settings | changes))


class MadeSource:
    """Stands for the data of a pipeline: the small features, with the FLOPs of a backbone."""

    def key(self, spec):
        return run_key(spec.apart_from_data(), "code", "data")

    def load(self, spec):
        return small_data(backbone_flops=1000, backbone_parameters=10)


def worked(results: Path, wanted: Study, confirm=lambda: None, **options) -> dict:
    """The record of a study on which this process works."""
    return work(wanted, MadeSource(), RunStore(results / ".store"), "cpu", results, confirm, **options)


@pytest.fixture
def no_training(monkeypatch):
    """Make every training an error."""
    from reidflow.training import loop

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(loop, "train", never)
