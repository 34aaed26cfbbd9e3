"""What processes are at, for people who watch: a small file for each job, and one beside each training run.

Nothing reads them but `reidflow watch` and `reidflow gc`; a process that cannot write them works on all the same.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ABOUT = "about.json"
JOBS = "jobs"
_SLURM = ("SLURM_ARRAY_JOB_ID", "SLURM_JOB_ID")

# The files that this process keeps, with what they say: of its job, and of the run that it trains.
_KEPT: dict[str, tuple[Path, dict[str, Any]]] = {}


@contextmanager
def job(results: Path, name: str, script: str, outputs: list[str]) -> Iterator[None]:
    """Say, while it lasts, which job this process is: its script, and the files that it will publish.

    name: of its lock in the store, which tells whether the process still lives.
    """
    path = results / ".store" / JOBS / f"{name}.json"
    _keep("job", path, {"job": script, "outputs": outputs, "experiment": _experiment(outputs), **_whereabouts()})
    try:
        yield
    finally:
        _KEPT.clear()
        _quietly(path.unlink)


def run(work: Path, **facts: Any) -> None:
    """Say which run is trained in the folder `work`: facts such as its arm and seed, as JSON data."""
    _keep("run", work / ABOUT, {"experiment": experiment(), **facts, **_whereabouts()})


def experiment() -> str:
    """Return the experiment whose job this process is, empty where it is nobody's."""
    return _KEPT["job"][1]["experiment"] if "job" in _KEPT else ""


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say, while it lasts, that this process waits."""
    _change(waiting=what)
    try:
        yield
    finally:
        _change(waiting="")


def _experiment(outputs: list[str]) -> str:
    """Return the experiment below whose folder the outputs lie."""
    parts = Path(outputs[0]).parts if outputs else ()
    return parts[parts.index("experiments") + 1] if "experiments" in parts[:-1] else ""


def _whereabouts() -> dict[str, Any]:
    slurm = next((os.environ[name] for name in _SLURM if os.environ.get(name)), "")
    return {"host": os.uname().nodename, "process": os.getpid(), "slurm": slurm, "since": time.time(), "waiting": ""}


def _change(**facts: Any) -> None:
    for kind, (path, told) in list(_KEPT.items()):
        if path.exists():
            _keep(kind, path, told | facts)


def _keep(kind: str, path: Path, told: dict[str, Any]) -> None:
    _KEPT[kind] = path, told
    _quietly(lambda: _write(path, told))


def _write(path: Path, told: dict[str, Any]) -> None:
    # Without waiting for the disk: after a power cut nobody asks what a process was at.
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_text(json.dumps(told), encoding="utf-8")
    temporary.replace(path)


def _quietly(action: Any) -> None:
    try:
        action()
    except OSError:
        return


def alive(lock: Path) -> bool:
    """Return whether a process, on whatever machine, holds this lock file. It is neither made nor written."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
