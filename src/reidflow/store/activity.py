"""What processes are doing, for `reidflow watch`: a small file for each job, and one beside each training run.

Only `reidflow watch` and `reidflow gc` read them; a process that cannot write them works on all the same.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ABOUT = "about.json"
JOBS = "jobs"
_SLURM = ("SLURM_ARRAY_JOB_ID", "SLURM_JOB_ID")

# The files that this process keeps, with their content: of its job, and of the run that it trains.
_FILES: dict[str, tuple[Path, dict[str, Any]]] = {}


@contextmanager
def job(results: Path, name: str, script: str, outputs: list[str]) -> Iterator[None]:
    """Describe, while it lasts, the job of this process: its script, and the files that it will publish.

    name: of its lock in the store, which shows whether the process is alive.
    """
    path = results / ".store" / JOBS / f"{name}.json"
    _put("job", path, {"job": script, "outputs": outputs, "experiment": _experiment(outputs), **_process()})
    try:
        yield
    finally:
        _FILES.clear()
        _ignoring_errors(path.unlink)


def run(work: Path, **facts: Any) -> None:
    """Describe the run that is trained in the folder `work` by facts such as its arm and seed, as JSON data."""
    _put("run", work / ABOUT, {"experiment": experiment(), **facts, **_process()})


def experiment() -> str:
    """Return the experiment whose job this process is, empty where it serves all."""
    return _FILES["job"][1]["experiment"] if "job" in _FILES else ""


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Note, while it lasts, that this process waits for something."""
    _change(waiting=what)
    try:
        yield
    finally:
        _change(waiting="")


def _experiment(outputs: list[str]) -> str:
    """Return the experiment whose folder holds the outputs."""
    parts = Path(outputs[0]).parts if outputs else ()
    return parts[parts.index("experiments") + 1] if "experiments" in parts[:-1] else ""


def _process() -> dict[str, Any]:
    slurm = next((os.environ[name] for name in _SLURM if os.environ.get(name)), "")
    return {"host": os.uname().nodename, "process": os.getpid(), "slurm": slurm, "since": time.time(), "waiting": ""}


def _change(**facts: Any) -> None:
    for kind, (path, content) in list(_FILES.items()):
        if path.exists():
            _put(kind, path, content | facts)


def _put(kind: str, path: Path, content: dict[str, Any]) -> None:
    _FILES[kind] = path, content
    _ignoring_errors(lambda: _write(path, content))


def _write(path: Path, content: dict[str, Any]) -> None:
    # Not synced: after a power cut nobody needs to know what a process was doing.
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


def _ignoring_errors(action: Callable[[], object]) -> None:
    try:
        action()
    except OSError:
        return
