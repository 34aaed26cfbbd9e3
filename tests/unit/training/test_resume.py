import signal
import time

import numpy as np
import pytest
from killing import TIMEOUT, finish, start
from training_cases import stored_bytes

from reidflow.training import checkpoint

RUNS = {
    "everything": {
        "epochs": 14,
        "augmentation": ["flip"],
        "views": 2,
        "loss": "triplet",
        "miner": "batch_hard",
        "sampler": {"name": "pk", "identities": 4, "images": 2},
        "scheduler": {"name": "cosine", "warmup": 0.2},
        "gradient_clip": 0.5,
    },
    "patience": {
        "epochs": 40,
        "loss": "subcenter_arcface",
        "optimizer": {"name": "muon", "learning_rate": 0.003},
        "scheduler": {"name": "plateau", "patience": 1},
        "patience": 4,
    },
    "last": {"epochs": 14, "loss": "proxy_anchor", "optimizer": "sgd", "scheduler": "onecycle", "checkpoint": "last"},
}


def data_of(name: str) -> dict:
    return {"views": RUNS[name].get("views", 0)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The files of each run that nothing interrupted."""
    folders = {name: tmp_path_factory.mktemp(name) for name in RUNS}
    for name, folder in folders.items():
        finish(folder, RUNS[name], **data_of(name))
    return {name: stored_bytes(folder / "out") for name, folder in folders.items()}


def kill_itself(folder, name: str, what: str, count: int) -> None:
    process = start(folder, RUNS[name], die=(what, count), **data_of(name))
    process.join(TIMEOUT)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize(("what", "count"), [("checkpoint", 1), ("checkpoint", 4), ("output", 1), ("output", 2)])
def test_killed_while_writing_and_run_again_gives_the_same_bytes(tmp_path, undisturbed, name, what, count):
    kill_itself(tmp_path, name, what, count)
    epochs = len((tmp_path / "work" / "progress.jsonl").read_text().splitlines())
    finish(tmp_path, RUNS[name], **data_of(name))
    assert stored_bytes(tmp_path / "out") == undisturbed[name]
    again = len((tmp_path / "work" / "progress.jsonl").read_text().splitlines()) - epochs
    assert epochs + again <= len(undisturbed_epochs(undisturbed[name])) + 1


def undisturbed_epochs(files: dict[str, bytes]) -> list[int]:
    import io

    import polars as pl

    return pl.read_parquet(io.BytesIO(files["history.parquet"]))["epoch"].to_list()[1:]


@pytest.mark.parametrize("name", RUNS)
def test_killed_again_and_again_at_any_moment_gives_the_same_bytes(tmp_path, undisturbed, name):
    generator = np.random.default_rng(len(name))
    progress = tmp_path / "work" / "progress.jsonl"
    killed = 0
    for stop in (1, 3, 6):
        process = start(tmp_path, RUNS[name], **data_of(name))
        while process.is_alive() and (not progress.exists() or progress.read_bytes().count(b"\n") < stop):
            time.sleep(0.001)
        time.sleep(generator.uniform(0, 0.01))
        process.kill()
        process.join(TIMEOUT)
        killed += process.exitcode == -signal.SIGKILL
    assert killed
    finish(tmp_path, RUNS[name], **data_of(name))
    assert stored_bytes(tmp_path / "out") == undisturbed[name]


def test_a_damaged_checkpoint_is_named_and_training_starts_afresh(tmp_path, undisturbed):
    kill_itself(tmp_path, "last", "checkpoint", 4)
    path = tmp_path / "work" / "checkpoint.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "checkpoint.pt: it is damaged; training starts at epoch 0" in finish(tmp_path, RUNS["last"])
    assert stored_bytes(tmp_path / "out") == undisturbed["last"]


def test_the_checkpoint_of_another_run_is_refused(tmp_path, undisturbed):
    kill_itself(tmp_path, "last", "checkpoint", 4)
    other = RUNS["last"] | {"loss": "cosface"}
    assert "it belongs to a run with other settings" in finish(tmp_path, other, key="another")
    finish(tmp_path / "clean", other, key="another")
    assert stored_bytes(tmp_path / "out") == stored_bytes(tmp_path / "clean" / "out")


def test_a_checkpoint_runs_no_code_when_it_is_read(tmp_path):
    import hashlib
    import pickle

    class Bomb:
        def __reduce__(self):
            return (type(tmp_path).touch, (tmp_path / "exploded",))

    data = pickle.dumps({"key": "key", "state": Bomb()})
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "checkpoint.pt").write_bytes(hashlib.sha256(data).digest() + data)
    assert "cannot be read" in finish(tmp_path, RUNS["last"])
    assert not (tmp_path / "exploded").exists()


def test_writing_checkpoints_takes_a_twentieth_of_the_time_at_most(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "write_bytes", lambda path, data: now.__setitem__(0, now[0] + 3.0))
    checkpoints = checkpoint.Checkpoints(tmp_path, "key", seconds=2.0)
    now[0] = 2.0
    assert checkpoints.due()
    checkpoints.write({})
    now[0] = 5.0 + 59.0
    assert not checkpoints.due()
    now[0] = 5.0 + 60.0
    assert checkpoints.due()
