"""Small studies on made features, and workers on them in processes of their own."""

import json
import multiprocessing
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from training_cases import small_data, small_spec

from reidflow.search.worker import run_study
from reidflow.spec.components import resolve
from reidflow.spec.search import Search as SearchFile
from reidflow.spec.search import Study, axes_of
from reidflow.store.atomic import write_text
from reidflow.store.runs import RunStore, run_key

SPACE = {
    "optimizer.learning_rate": {"low": 0.0001, "high": 0.3, "log": True},
    "model.head.hidden": [0, 8, 16],
    "model.head.dropout": {"low": 0.0, "high": 0.6, "step": 0.2},
    "neck": {"choices": {"narrow": {"model": {"head": {"dim": 4}}}, "wide": {"model": {"head": {"dim": 16}}}}},
}
MEDIAN = {"name": "median", "startup": 3}


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
    """A stub for the data of a pipeline: the small features, with the FLOPs of a backbone."""

    def __init__(self, **data):
        self.data = data

    def key(self, spec):
        return run_key(spec.apart_from_data(), "code", str(sorted(self.data.items())))

    def load(self, spec):
        return small_data(backbone_flops=1000, backbone_parameters=10, **self.data)


def worked(results: Path, wanted: Study, confirm=lambda: None, matched_steps=None, **data) -> dict:
    """The record of a study on which this process works."""
    store = RunStore(results / ".store")
    return run_study(wanted, MadeSource(**data), store, "cpu", results, confirm, matched_steps)


def forget_journals(results: Path) -> None:
    """Remove the storage of all studies; the run store stays."""
    shutil.rmtree(results / ".store" / "studies")


def no_training(monkeypatch):
    """Make every training an error."""
    from reidflow.training import loop

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(loop, "train", never)


CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["search_cases", "reidflow.training.loop", "pytorch_metric_learning.losses"])
TIMEOUT = 120  # seconds


def start(results: Path, number: int, wanted: Study):
    """Start a worker in a process of its own; it leaves its record and what it printed in `results`."""
    process = CONTEXT.Process(target=_work, args=(results, number, wanted.plain()), daemon=True)
    process.start()
    return process


def _work(results: Path, number: int, plain: dict) -> None:
    results.mkdir(parents=True, exist_ok=True)
    with (results / f"worker-{number}.log").open("a") as log, redirect_stdout(log):
        write_text(results / f"worker-{number}.json", json.dumps(worked(results, Study.of(plain))))
