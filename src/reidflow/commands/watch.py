"""`reidflow watch`: what is trained right now, where, how far it is, and how many runs of each experiment are done.

Files are read while other processes write, finish and remove them, perhaps on machines with clocks of their own.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reidflow.commands.runs import Runs, unique
from reidflow.spec.experiment import Experiment
from reidflow.spec.plan import Plan
from reidflow.store.activity import ABOUT, JOBS
from reidflow.store.locks import is_held
from reidflow.store.published import STUDIES
from reidflow.store.runs import LARGE
from reidflow.workflow.units import duration

RUN_COLUMNS = ("run", "seed", "epoch", "loss", "val mAP", "left", "where", "last sign", "")
JOB_COLUMNS = ("job", "makes", "where", "for", "")
RIGHT = ("seed", "epoch", "loss", "val mAP", "left", "last sign", "for")
# What decides which runs there are, and their keys.
DECIDING = (
    "data/split.json",
    "data/splits/*/split.json",
    "features/*/features.json",
    "backgrounds/*/images.json",
    "experiments/*/chosen.json",
    "experiments/*/winners.json",
    "experiments/*/best.json",
    "experiments/*/looks/*.json",
)
KEY_LENGTH = 32  # of a run in the store; runs whose data are not there yet go by their specs
PROGRESS, CHECKPOINT = "progress.jsonl", "checkpoint.pt"
SILENT_AFTER = 60.0  # seconds without a sign of life
SILENT_EPOCHS = 5  # and epochs: a long one writes nothing meanwhile
TAIL = 4096

TRAINING, WAITING, STARTING, SILENT, STOPPED = "training", "waiting", "starting", "silent", "stopped"


class Training(NamedTuple):
    """An unfinished run. left, age: seconds to go, and since its last sign of life; state: one of the five above."""

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
    """A job that trains nothing at the moment. age: seconds since it began, or began to wait."""

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
    """Return the time by the clock that stamps files in `folder`, perhaps that of another machine."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()


def last_line(path: Path) -> dict[str, Any]:
    """Return the last complete line of a file of JSON lines; {} where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().split(b"\n")
    except OSError:
        return {}
    for line in reversed(lines[:-1]):
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict):
            return content
    return {}


def run_name(about: dict[str, Any]) -> str:
    """Return the name of a run: experiment and arm, or study and trial."""
    trial = f"trial {about['trial']}" if "trial" in about else "a finalist" if about.get("study") else ""
    return "/".join(filter(None, (about.get("experiment"), about.get("arm") or about.get("study"), trial)))


def _training(store: Path, folder: Path, now: float) -> Training | None:
    about, line = _about(folder), last_line(folder / PROGRESS)
    times = [changed(folder / name) for name in (PROGRESS, CHECKPOINT, ABOUT, "")]
    if not any(times):
        return None  # finished meanwhile
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
    content = read_json(folder / ABOUT)
    return content if isinstance(content, dict) else {}


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


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; None where there is none, or it is half written."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class Count(NamedTuple):
    """Runs and trials of an experiment. at_least: whether a search has no fixed number of trials."""

    experiment: str
    done: int
    needed: int
    at_least: bool


class Counts:
    """The counts of a plan's experiments; the runs are looked up again only when a file changes that decides them."""

    def __init__(self, made: Plan) -> None:
        self._plan, self._results = made, Path(made.config.results)
        self._seen: object = None
        self._needed: dict[str, tuple[set[str], int]] = {}

    def now(self) -> list[Count]:
        """Return the count of each experiment."""
        seen = [(path, changed(path)) for pattern in DECIDING for path in sorted(self._results.glob(pattern))]
        if seen != self._seen:
            self._seen, self._runs = seen, Runs(self._plan)
            self._needed = {name: self._find(experiment) for name, experiment in self._plan.experiments.items()}
        return [self._count(experiment) for experiment in self._plan.experiments.values()]

    def _find(self, experiment: Experiment) -> tuple[set[str], int]:
        """Return the keys of an experiment's runs, and the number of runs whose keys are not known yet."""
        batches = [("train", self._plan.training)] + ([("sweep", self._plan.sweep)] if experiment.tuned else [])
        found = [
            self._runs.of(rule, {"experiment": experiment.name, "batch": str(batch)})
            for rule, jobs in batches
            for batch in range(len(jobs(experiment.name)))
        ]
        runs = [key for state in ("stored", "train", "undecided") for key in unique(found, state)]
        keys = {key for key in runs if len(key) == KEY_LENGTH}
        return keys, len(runs) - len(keys)

    def _count(self, experiment: Experiment) -> Count:
        keys, unknown = self._needed[experiment.name]
        # Whether large files are stored with a run is of no interest here.
        done, needed = sum(self._runs.store.has(key, LARGE) for key in keys), len(keys) + unknown
        for study in experiment.studies.values():
            key = self._runs.study_key(study, experiment.division)
            finished = len(finished_trials(self._results / ".store" / STUDIES / str(key) / "journal.log"))
            done, needed = done + finished, needed + max(finished, study.trials or 0)
        at_least = any(study.trials is None for study in experiment.studies.values())
        return Count(experiment.name, done, needed, at_least)


def finished_trials(journal: Path) -> list[str]:
    """Return the keys of the runs of a study's finished trials, from its journal."""
    found = []
    try:
        lines = journal.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            found.append(json.loads(line)["user_attr"]["outcome"]["run"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


def watch(made: Plan, once: bool, interval: float) -> int:
    """Show what is running until interrupted; only once, as plain text, if `once` or without a terminal. Return 0."""
    store, counts = Path(made.config.results) / ".store", Counts(made)
    if once or not sys.stdout.isatty():
        print(plain(made.config.results, *look(store), counts.now()))
        return 0
    try:
        with Live(console=Console(), auto_refresh=False) as live:
            while True:
                live.update(_rendered(made.config.results, *look(store), counts.now()), refresh=True)
                time.sleep(interval)
    except KeyboardInterrupt:
        return 0


def plain(results: str, runs: list[Training], jobs: list[Working], counts: list[Count]) -> str:
    """Return everything as plain text."""
    parts = [headline(results, runs, jobs, counts)]
    parts += [_aligned(RUN_COLUMNS, [_run(run) for run in runs])] if runs else []
    parts += [_aligned(JOB_COLUMNS, [_job(job) for job in jobs])] if jobs else []
    return "\n\n".join([*parts, remaining(counts)] if counts else parts)


def headline(results: str, runs: list[Training], jobs: list[Working], counts: list[Count]) -> str:
    """Return how much is done and what is running, in a sentence or two."""
    done, needed = sum(count.done for count in counts), sum(count.needed for count in counts)
    more = " or more" if any(count.at_least for count in counts) else ""
    stopped = sum(run.state == STOPPED for run in runs)
    active = len(runs) - stopped
    now = f"{active} in training, {len(jobs)} other jobs." if active or jobs else "Nothing is running."
    rest = f" {stopped} stopped; they resume from their checkpoints when the pipeline is run." if stopped else ""
    return f"{results}/: {done} of {needed}{more} runs are done. {now}{rest}"


def remaining(counts: list[Count]) -> str:
    """Return how many runs of each experiment are done."""
    parts = [f"{count.experiment} {count.done} of {count.needed}{'+' if count.at_least else ''}" for count in counts]
    return f"Runs done: {', '.join(parts)}."


def _run(run: Training) -> list[str]:
    epoch = "" if run.of is None else f"{run.epoch if run.epoch is not None else 0} of {run.of}"
    state = f"waiting for {run.waiting}" if run.state == WAITING else run.state
    numbers = ["" if value is None else f"{value:.4f}" for value in (run.loss, run.val)]
    seed = "" if run.seed is None else str(run.seed)
    return [
        run.run,
        seed,
        epoch,
        *numbers,
        "" if run.left is None else duration(run.left),
        run.where,
        duration(run.age),
        state,
    ]


def _job(job: Working) -> list[str]:
    return [job.job, job.what, job.where, duration(job.age), f"waiting for {job.waiting}" if job.waiting else ""]


def _aligned(head: tuple[str, ...], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    sides = [str.rjust if name in RIGHT else str.ljust for name in head]
    lines = [
        "  ".join(align(cell, width) for align, cell, width in zip(sides, row, widths, strict=True))
        for row in [head, *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)


def _rendered(results: str, runs: list[Training], jobs: list[Working], counts: list[Count]) -> Group:
    parts = [Text(headline(results, runs, jobs, counts))]
    parts += [_table(RUN_COLUMNS, [(_run(run), _style(run.state)) for run in runs])] if runs else []
    parts += [_table(JOB_COLUMNS, [(_job(job), "yellow" if job.waiting else "") for job in jobs])] if jobs else []
    return Group(*parts, Text(remaining(counts), "dim"))


def _style(state: str) -> str:
    return {SILENT: "red", STOPPED: "dim", WAITING: "yellow"}.get(state, "")


def _table(head: tuple[str, ...], rows: list[tuple[list[str], str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, justify="right" if name in RIGHT else "left", overflow="fold")
    for cells, style in rows:
        table.add_row(*map(Text, cells), style=style)
    return table
