"""What is at work in a results folder right now, as its files tell: trainings, and jobs that train nothing.

Files are read while others write, finish and remove them, perhaps on other machines with clocks of their own.
"""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from reidflow.commands.needed import read_json
from reidflow.store.activity import ABOUT, JOBS
from reidflow.store.locks import is_held

PROGRESS, CHECKPOINT = "progress.jsonl", "checkpoint.pt"
SILENT_AFTER = 60.0  # seconds without a sign of life
SILENT_EPOCHS = 5  # and epochs: a long one says nothing meanwhile
TAIL = 4096

TRAINING, WAITING, STARTING, SILENT, STOPPED = "training", "waiting", "starting", "silent", "stopped"


class Training(NamedTuple):
    """A run that is not finished. left: seconds; age: since its last sign of life; state: one of the five above."""

    run: str
    seed: int | None
    epoch: int | None
    of: int | None
    loss: float | None
    val: float | None
    left: float | None
    where: str
    age: float
    state: str
    waiting: str


class Working(NamedTuple):
    """A job that trains nothing at the moment. age: seconds since it began, or since it waits."""

    job: str
    what: str
    where: str
    age: float
    waiting: str


def look(store: Path) -> tuple[list[Training], list[Working]]:
    """Return the unfinished runs, those at work first, and the jobs beside them."""
    now = file_time(store)
    found = [(_about(folder), _training(store, folder, now)) for folder in _inside(store / "work")]
    runs = [(about, run) for about, run in found if run is not None]
    training = {(about.get("host"), about.get("process")) for about, run in runs if run.state != STOPPED}
    runs.sort(key=lambda pair: (pair[1].state == STOPPED, pair[1].run, pair[1].seed or 0))
    return [run for _, run in runs], _jobs(store, now, training)


def file_time(folder: Path) -> float:
    """Return the time by the clock that stamps files in `folder`, which may be that of another machine."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()


def last_line(path: Path) -> dict[str, Any]:
    """Return the last whole line of a file of JSON lines; {} where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().split(b"\n")
    except OSError:
        return {}
    for line in reversed(lines[:-1]):
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict):
            return told
    return {}


def run_name(about: dict[str, Any]) -> str:
    """Return whose run it is: experiment and arm, or study and trial."""
    trial = f"trial {about['trial']}" if "trial" in about else "a finalist" if about.get("study") else ""
    return "/".join(filter(None, (about.get("experiment"), about.get("arm") or about.get("study"), trial)))


def _training(store: Path, folder: Path, now: float) -> Training | None:
    about, line = _about(folder), last_line(folder / PROGRESS)
    times = [changed(folder / name) for name in (PROGRESS, CHECKPOINT, ABOUT, "")]
    if not any(times):
        return None  # finished and gone meanwhile
    age = max(0.0, now - max(times))
    epoch, of, left = (_number(line.get(key)) for key in ("epoch", "of", "seconds_left"))
    spec = about.get("spec") or {}
    state = _state(is_held(store / "locks" / folder.name), about, line, age)
    if left is not None and state == TRAINING:
        left = max(0.0, left - age)
    return Training(
        run=run_name(about) or folder.name[:12],
        seed=_number(spec.get("seed")),
        epoch=epoch,
        of=of if of is not None else _number(spec.get("epochs")),
        loss=_number(line.get("loss")),
        val=_number(line.get("val")),
        left=left if state in (TRAINING, SILENT) else None,
        where=_where(about),
        age=age,
        state=state,
        waiting=about.get("waiting", ""),
    )


def _state(living: bool, about: dict[str, Any], line: dict[str, Any], age: float) -> str:
    if not living:
        return STOPPED
    if about.get("waiting"):
        return WAITING
    left, epochs = _number(line.get("seconds_left")) or 0.0, (line.get("of") or 0) - (line.get("epoch") or 0)
    if age > max(SILENT_AFTER, SILENT_EPOCHS * left / epochs if epochs > 0 else 0.0):
        return SILENT
    return TRAINING if line else STARTING


def _jobs(store: Path, now: float, training: set[tuple[Any, Any]]) -> list[Working]:
    found = []
    for path in sorted((store / JOBS).glob("[!.]*.json")):
        about, written = read_json(path), changed(path)
        busy = about is None or (about.get("host"), about.get("process")) in training
        if busy or not written or not is_held(store / "locks" / path.stem):
            continue
        outputs = about.get("outputs") or [""]
        more = f" and {len(outputs) - 1} more" if len(outputs) > 1 else ""
        age, waiting = max(0.0, now - written), about.get("waiting", "")
        found.append(Working(about.get("job", ""), f"{outputs[0]}{more}", _where(about), age, waiting))
    return found


def _where(about: dict[str, Any]) -> str:
    if not about.get("host"):
        return ""
    return f"{about['host']}, SLURM {about['slurm']}" if about.get("slurm") else f"{about['host']}:{about['process']}"


def _about(folder: Path) -> dict[str, Any]:
    told = read_json(folder / ABOUT)
    return told if isinstance(told, dict) else {}


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) else None


def changed(path: Path) -> float:
    """Return when a file was written, in seconds since the epoch; 0 where it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
