"""How far a run of the pipeline is: jobs and runs done, what is at work, the time left, and which experiments are finished.

The main process attaches a `Progress` to Snakemake's log, so that results/index.html follows a run whatever shows it, here
or on a cluster. What a person sees of it meanwhile is drawn by `reidflow.commands.screen`.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from reidflow.spec.plan import Plan
from reidflow.workflow.estimates import Estimates, demo_images, record_of, recorded, took
from reidflow.workflow.units import duration

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
NOTHING_TO_DO, INTERRUPTED = "nothing to do", "interrupted"
NOTHING = "Nothing to be done"
"""How Snakemake's sentence begins when every result is up to date."""
STOPPING = "Terminating processes on user request"
PRIOR = 60.0  # seconds of work that are taken to last as expected, before the pace of this machine is known
TICK = 1.0  # seconds between two looks at what has changed
STALE = 20.0  # seconds after which the index is written again though no experiment has changed


@dataclass
class Job:
    """A job that has to run. seconds: its expected time; runs: how many it trains or restores; since: when it began or ended."""

    rule: str
    experiment: str
    seconds: float | None
    threads: int = 1
    runs: int = 0
    state: str = WAITING
    since: float = 0.0

    @property
    def name(self) -> str:
        """The rule and the experiment."""
        return f"{self.rule} {self.experiment}".strip()


class Work:
    """The jobs of a run by Snakemake's number, what they are doing, and the time they took and are expected to take."""

    def __init__(self, jobs: Mapping[int, Job], cores: int) -> None:
        self.jobs, self.cores = dict(jobs), max(cores, 1)
        self._expected = self._spent = PRIOR
        known = [job.seconds for job in jobs.values() if job.seconds is not None]
        self._usual = sum(known) / len(known) if known and 2 * len(known) >= len(jobs) else None
        """Seconds of a job of which nothing is known; None where too few are known for any estimate."""

    def begin(self, number: int, now: float) -> None:
        """Note that a job has started."""
        if number in self.jobs:
            self.jobs[number].state, self.jobs[number].since = RUNNING, now

    def end(self, number: int, now: float, state: str = DONE) -> None:
        """Note that a job has ended, and how."""
        job = self.jobs.get(number)
        if job is None:
            return
        if state == DONE and job.state == RUNNING and job.seconds is not None:
            self._expected, self._spent = self._expected + job.seconds, self._spent + now - job.since
        job.state, job.since = state, now

    def count(self, state: str) -> int:
        """Return how many jobs are in a state."""
        return sum(job.state == state for job in self.jobs.values())

    def is_done(self, rule: str) -> bool:
        """Return whether a job of a rule has been done in this run."""
        return any(job.name == rule and job.state == DONE for job in self.jobs.values())

    def running(self) -> list[Job]:
        """Return the jobs at work, the longest first."""
        return sorted((job for job in self.jobs.values() if job.state == RUNNING), key=lambda job: job.since)

    def left(self, now: float) -> float | None:
        """Return the seconds left, by the expected times and the pace of the jobs so far; None while unknown."""
        if self._usual is None:
            return None
        pace, work, longest = self._spent / self._expected, 0.0, 0.0
        for job in self.jobs.values():
            if job.state in (WAITING, RUNNING):
                takes = pace * (self._usual if job.seconds is None else job.seconds)
                takes = max(0.0, takes - (now - job.since if job.state == RUNNING else 0.0))
                work, longest = work + takes * min(job.threads, self.cores), max(longest, takes)
        return max(work / self.cores, longest)

    def state(self, experiment: str) -> str:
        """Return the state of an experiment: done where none of its jobs is outstanding."""
        states = {job.state for job in self.jobs.values() if job.experiment == experiment}
        return next((state for state in (FAILED, RUNNING) if state in states), WAITING if WAITING in states else DONE)


class Progress(logging.Handler):
    """Follows a run of the pipeline by the events that Snakemake logs, and keeps results/index.html up to date.

    watchers: called each second with the time, while jobs run. outcome: DONE, FAILED, NOTHING_TO_DO or INTERRUPTED once it
    is known.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan, self.results = plan, Path(plan.config.results)
        self.work: Work | None = None
        self.outcome, self.log_file, self.cluster = "", "", False
        self.started = time.monotonic()
        self.runs, self._log = 0, RunLog(self.results)
        self.watchers: list[Callable[[float], None]] = []
        self._stop, self._changed, self._refused = threading.Event(), False, False
        self._thread: threading.Thread | None = None

    def begin(self, workflow: Any, params: Iterable[Mapping[str, Any]], cluster: bool) -> None:
        """Take note of the jobs that have to run. workflow: Snakemake's object; params: those of these jobs."""
        jobs, dag = list(workflow.dag.needrun_jobs()), workflow.dag
        estimates = Estimates(recorded(workflow, jobs), demo_images(self.plan.config))
        found = {}
        for job in jobs:
            rule, experiment = job.rule.name, dict(job.wildcards_dict).get("experiment", "")
            before = None if job.rule.norun else took(record_of(workflow, job))
            seconds = 0.0 if job.rule.norun else estimates.seconds(rule, experiment, before)
            threads = int(job.resources.get("_cores", 1))
            found[dag.jobid(job)] = Job(rule, experiment, seconds, 1 if cluster else threads)
        self.runs, self.cluster = runs_of(params), cluster
        self.log_file = next(map(_here, workflow.logger_manager.get_logfile()), "")
        limit = (workflow.nodes if cluster else workflow.cores) or 1
        self.work = Work(found, min(limit, len(found)) if cluster else limit)
        self._write_index()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of an event."""
        event, now = getattr(record, "event", None), time.monotonic()
        if event is None:
            message = str(record.msg)
            if message.startswith(NOTHING):
                self.outcome = NOTHING_TO_DO
            elif message.startswith(STOPPING):
                self.outcome = INTERRUPTED
        elif self.work is None:
            return
        elif event == "job_info":
            self.work.begin(record.jobid, now)
        elif event == "job_finished":
            self.work.end(record.job_id, now)
        elif event == "job_error":
            self.work.end(record.jobid, now, WAITING if self.outcome == INTERRUPTED else FAILED)
        self._changed = True

    def runs_done(self) -> int:
        """Return how many runs were trained or restored since the run of the pipeline began."""
        return min(self._log.count(), self.runs)

    def finished(self) -> list[str]:
        """Return the experiments that are whole: their page is there, and none of its jobs is outstanding."""
        done = [name for name in self.plan.experiments if self.work is None or self.work.state(name) == DONE]
        return [name for name in done if self.page(name).exists()]

    def page(self, experiment: str) -> Path:
        """Return the page of an experiment."""
        return self.results / "pages" / f"{experiment}.html"

    def close(self) -> None:
        """Finish: write the index as it stays. May be called twice."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join(10)
            self._thread = None
        if self.work is not None and self.outcome in ("", INTERRUPTED):
            whole = self.work.count(DONE) == len(self.work.jobs)
            self.outcome = DONE if whole else self.outcome or FAILED
        index = self.results / "index.html"
        if self.work is not None or (self.outcome == NOTHING_TO_DO and not _is_final(index)):
            self._write_index()
        super().close()

    def _follow(self) -> None:
        written = time.monotonic()
        while not self._stop.wait(TICK):
            now = time.monotonic()
            if self._changed or now - written > STALE:
                self._changed, written = False, now
                self._write_index()
            for watcher in self.watchers:
                with suppress(Exception):
                    watcher(now)

    def _write_index(self) -> None:
        """Write results/index.html. Where that is impossible it is said once, and jobs go on."""
        from reidflow.pages.index import Entry, write_index

        work, final = self.work, bool(self.outcome)
        entries = []
        for name, experiment in self.plan.experiments.items():
            state = work.state(name) if work else DONE
            if state == DONE and not self.page(name).exists():
                state = "not made"
            elif final and state in (WAITING, RUNNING):
                state = "not finished"
            entries.append(Entry(name, experiment.file.question, state))
        try:
            write_index(self.results, self.plan.config.title, self.plan.config.scale, entries, self._headline(final))
        except Exception as error:
            if not self._refused:
                self._refused = True
                logging.getLogger(__name__).warning("%s/index.html cannot be written: %s", self.results, error)

    def _headline(self, final: bool) -> str:
        """Return what is going on, in a sentence; '' once nothing is."""
        if self.work is None or final:
            return ""
        left = self.work.left(time.monotonic())
        text = f"{self.work.count(DONE)} of {len(self.work.jobs)} jobs are done"
        return f"{text}; about {duration(left)} left." if left is not None else f"{text}."


class RunLog:
    """The run store's log, from its present end on: each run of an experiment or study counts once."""

    def __init__(self, results: Path) -> None:
        self._path, self._seen = results / ".store" / "log.jsonl", set()
        self._read = self._path.stat().st_size if self._path.exists() else 0

    def count(self) -> int:
        """Return the number of runs that were trained or restored."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except OSError:
            return len(self._seen)
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            with suppress(ValueError):
                entry = json.loads(line)
                self._seen.add((entry.get("experiment"), entry.get("study") or entry.get("arm"), entry.get("key")))
        return len(self._seen)


current: Progress | None = None
"""The progress of this process's run of the pipeline."""
state: Literal["", "reading", "running"] = ""
"""What the command of this process does: it only reads results and plans, or it runs jobs; '' while that is unknown."""


def attach(plan: Plan, reads: bool) -> Progress | None:
    """Return the progress of the run of the pipeline that this process is about to plan, attached to Snakemake's log.

    reads: whether its command runs no jobs: there is no progress then.
    """
    global current, state
    if not reads:
        from snakemake.logging import logger

        current = Progress(plan)
        logger.addHandler(current)
    state = "reading" if reads else "running"
    return current


def runs_of(params: Iterable[Mapping[str, Any]]) -> int:
    """Return how many runs and trials jobs train or restore, as far as their params list them."""
    studies: dict[str, int] = {}
    runs = 0
    for given in params:
        listed = given.get("runs") or given.get("specs") or []
        runs += sum(map(len, listed.values())) if isinstance(listed, dict) else len(listed)
        if study := given.get("study"):
            finalists = study["finalists"] * len(study["sweep_seeds"])
            studies[f"{study['experiment']}/{study['name']}"] = (study["trials"] or 0) + finalists
    return runs + sum(studies.values())


def _is_final(index: Path) -> bool:
    """Return whether an index is there that does not wait for anything."""
    try:
        return 'http-equiv="refresh"' not in index.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def _here(path: str) -> str:
    """Return a path as seen from the current folder, where it is inside."""
    found = Path(path)
    return str(found.relative_to(Path.cwd())) if found.is_relative_to(Path.cwd()) else path
