"""How long each job would take: the recorded times of the runs in the store and of the jobs that Snakemake ran."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from reidflow.commands.plan_dag import Dag, PlannedJob
from reidflow.commands.plan_runs import JobRuns
from reidflow.commands.plan_times import Finished, Guess, Speeds
from reidflow.spec.run import RunSpec
from reidflow.store.runs import RunStore

OVERHEAD = ("train", "sweep")
NEVER = "no such job ran yet"


@dataclass
class JobTime:
    """The seconds of a job, where undecided runs turn out finished (low) or not (high); what of it is not known."""

    low: float = 0.0
    high: float = 0.0
    unknown: list[str] = field(default_factory=list)


@dataclass
class Basis:
    """What times were estimated from: the best likeness and the number of earlier runs for each run, earlier jobs."""

    guesses: list[Guess] = field(default_factory=list)
    jobs: int = 0


def estimate(dag: Dag, runs: list[JobRuns | None]) -> tuple[list[JobTime], Basis]:
    """Return the time of each job, and what it was estimated from."""
    times = _Times(dag, any(job and (job.train or job.undecided) for job in runs))
    return [times.of(job, own) for job, own in zip(dag.jobs, runs, strict=True)], times.basis


class _Times:
    def __init__(self, dag: Dag, training: bool) -> None:
        self.dag, self.basis = dag, Basis(jobs=sum(map(len, dag.seconds.values())))
        self._finished = dict(finished_runs(dag.results)) if training else {}
        self._speeds = Speeds(self._finished.values(), dag.device)
        self._images = train_images(dag.results)
        self._overhead = self._start() if training else None
        # Jobs share runs: whichever comes first trains them.
        self._seen: set[str] = set()
        self._guessed: dict[int, Guess | None] = {}

    def of(self, job: PlannedJob, runs: JobRuns | None) -> JobTime:
        if runs is None or not (runs.train or runs.undecided or runs.why):
            return self._as_before(job)
        time = JobTime()
        if self._overhead is None:
            time.unknown.append(NEVER)
        else:
            time.low = time.high = self._overhead
        # Of one arm, only the seed differs.
        for key, spec in runs.train.items():
            self._add(time, job, key, spec, certain=True)
        for key, spec in runs.undecided.items():
            self._add(time, job, key, spec, certain=False)
        if runs.why and not runs.undecided and not runs.train and job.wildcards.get("worker", "0") == "0":
            time.unknown.append(f"how many runs there are is decided {runs.why[0]}")
        return time

    def _add(self, time: JobTime, job: PlannedJob, key: str, spec: RunSpec, certain: bool) -> None:
        if key in self._seen:
            return
        self._seen.add(key)
        guess = self._guess(spec)
        if guess is None:
            text = f"no run {network(spec)} was trained on this kind of device"
            time.unknown += [] if text in time.unknown else [text]
            return
        self.basis.guesses.append(guess)
        time.high += guess.seconds
        time.low += guess.seconds if certain else 0.0

    def _guess(self, spec: RunSpec) -> Guess | None:
        # Copies of a spec with another seed share their parts.
        same = id(spec.loss), id(spec.model), id(spec.optimizer), id(spec.sampler), id(spec.augmentation), spec.epochs
        if same not in self._guessed:
            self._guessed[same] = self._speeds.guess(spec.plain(), self._images)
        return self._guessed[same]

    def _as_before(self, job: PlannedJob) -> JobTime:
        """Return the time of a job that trains nothing: what it took before, else what such jobs take."""
        took = job.seconds_before
        if took is None:
            others = [seconds for _, seconds in self.dag.seconds.get(job.rule, [])]
            took = median(others) if others else None
        if took is None:
            return JobTime(unknown=[NEVER])
        return JobTime(took, took)

    def _start(self) -> float | None:
        """Return what jobs that train take beside the training of their runs."""
        found = []
        for rule in OVERHEAD:
            for output, took in self.dag.seconds.get(rule, []):
                keys = [key for run in _runs_in(Path(output)) for key in run["members"]]
                trained = sum(self._finished[key].seconds for key in keys if key in self._finished)
                # A job that took less than its runs only restored them.
                found.append(took - trained if took >= trained else took)
        return median(found) if found else None


def finished_runs(results: Path) -> Iterator[tuple[str, Finished]]:
    """Yield (key, run) of the finished runs that the experiments in `results` are made of."""
    store = RunStore(results / ".store")
    for kind in ("runs", "sweep"):
        for file in sorted(results.glob(f"experiments/*/{kind}/runs-*.json")):
            for run in _runs_in(file):
                told = _read(store.folder(run["key"]) / "efficiency.json")
                about = _read(store.folder(run["key"]) / "provenance.json")
                # Of an ensemble, the spec is that of the arm and not of one run.
                if told and run["members"] == [run["key"]]:
                    device = str(told.get("device", about.get("device", "cpu")))
                    yield run["key"], Finished(run["spec"], told["seconds"], about.get("train_images"), device)


def _runs_in(file: Path) -> list[dict[str, Any]]:
    return _read(file).get("runs", [])


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return {}


def train_images(results: Path) -> int | None:
    """Return how many images the config's split has for training; None while there is none."""
    return _read(results / "data" / "audit.json").get("roles", {}).get("train", {}).get("images")


def network(spec: RunSpec) -> str:
    """Return what a run trains, in words."""
    backbone = spec.model.backbone
    name = backbone.get("model") or backbone.get("family") or backbone["name"]
    return "on features" if spec.frozen else f"of {name} on images"
