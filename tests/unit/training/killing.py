"""Trains in a process of its own that can be killed, or that kills itself at a chosen moment.

Processes are forked from a server that has imported everything and trained nothing, so that a start costs little.
"""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

from training_cases import small_data, small_spec

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["reidflow.training.loop", "pytorch_metric_learning.losses"])
TIMEOUT = 120  # seconds


def start(folder: Path, changes: dict, key: str = "key", die: tuple[str, int] | None = None, **data):
    """Start a training in `folder`; `die` is (what, n): kill itself in the middle of the n-th writing of that."""
    process = CONTEXT.Process(target=_train, args=(folder, changes, key, die, data), daemon=True)
    process.start()
    return process


def finish(folder: Path, changes: dict, **options) -> str:
    """Train to the end; return what was printed to stderr."""
    process = start(folder, changes, **options)
    process.join(TIMEOUT)
    assert process.exitcode == 0
    return (folder / "stderr").read_text()


def _train(folder: Path, changes: dict, key: str, die: tuple[str, int] | None, data: dict) -> None:
    from reidflow.training.loop import train

    folder.mkdir(parents=True, exist_ok=True)
    sys.stderr = (folder / "stderr").open("w", encoding="utf-8")
    if die:
        _prepare_to_die(*die)
    train(
        small_spec(**changes),
        small_data(**data),
        folder / "work",
        folder / "out",
        "cpu",
        key=key,
        checkpoint_seconds=0.0,
    )
    sys.stderr.flush()


def _prepare_to_die(what: str, count: int) -> None:
    """Let the `count`-th writing of a checkpoint, or of an output file, stop half-way by SIGKILL."""
    from reidflow.store import atomic
    from reidflow.training import checkpoint, outputs

    module = {"checkpoint": checkpoint, "output": outputs}[what]
    left = [count]

    def write_half(path, data) -> None:
        left[0] -= 1
        if left[0]:
            atomic.write_bytes(path, data)
            return
        with atomic.replacing(path) as temporary:
            temporary.write_bytes(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    module.write_bytes = write_half
    if what == "output":
        module.write_text = lambda path, text: write_half(path, text.encode())
