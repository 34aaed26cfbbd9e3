"""An invocation of the pipeline: checks before planning, ownership of the results folder, and processes that outlive it."""

import logging
import os
import re
import select
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reidflow.spec.errors import ReidflowError
from reidflow.store import disk, published
from reidflow.store.atomic import remove_orphaned, write_text
from reidflow.store.locks import hold
from reidflow.store.runs import RunStore

MAIN = "REIDFLOW_MAIN"
GENERATION = "REIDFLOW_GENERATION"
STARTED = "REIDFLOW_STARTED"
LOCK = ".lock"
TOUCH = {"--touch", "-t"}
DRY_RUNS = {"-n", "--dry-run", "--dryrun", "--lint", "--summary", "--report", "--dag", "--rulegraph", "--list-rules"}
MIN_JOB_AGE = 200  # seconds; the executor polls SLURM's jobs every 180 at the longest


def generation_file(results: Path) -> Path:
    """Return the file that names the invocation which owns `results`."""
    return results / ".generation"


def owner_file(results: Path) -> Path:
    """Return the marker beside Snakemake's own records and is lost together with them."""
    return Path(".snakemake") / f"reidflow-{'-'.join(results.parts)}"


def add_sources(folder: Path) -> None:
    """Let child processes import the package from `folder`, before any installed copy."""
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(folder), *filter(None, known)]))


def is_dry_run() -> bool:
    """Return whether this Snakemake command only reports what is there, or what would run."""
    return any(_option(a) in DRY_RUNS or re.fullmatch(r"-[A-Za-z]*n[A-Za-z]*", a) for a in sys.argv[1:])


def is_report() -> bool:
    """Return whether this Snakemake command only writes Snakemake's report: no job runs, nothing may change."""
    return any(_option(argument) == "--report" for argument in sys.argv[1:])


def _option(argument: str) -> str:
    return argument.split("=")[0]


def prepare_main(results: Path) -> None:
    """Check the results folder before planning, in the main process, and name the invocation.

    Raises ReidflowError when results exist but Snakemake's records of them do not (stale results would survive), and,
    unless this is a dry run, when another invocation is active or the disk refuses to be written.
    """
    # Snakemake's own log may be on a full disk: the message must not drown in tracebacks of the logger.
    logging.raiseExceptions = False
    if TOUCH & set(sys.argv):
        raise ReidflowError(
            "--touch is refused: it would mark outdated results as current. Run the command without it: current results "
            "are recognised by their content, and finished runs are restored from the store."
        )
    os.environ[MAIN] = str(os.getpid())
    os.environ[GENERATION] = uuid.uuid4().hex
    os.environ[STARTED] = str(time.time())
    if generation_file(results).exists() and not owner_file(results).exists():
        raise ReidflowError(
            f"{results}/ holds results, but Snakemake's records of them (.snakemake/) are gone, so outdated results cannot "
            f"be detected. Remove the results and run again: rm -r {results}/[!.]* {generation_file(results)}\n"
            f"Finished runs stay in {results}/.store and are restored, not trained."
        )
    records = owner_file(results).parent
    with disk.explained(results):
        # Snakemake writes its records even in a dry run.
        for folder in [records] if is_dry_run() else [results, records]:
            disk.require_room(folder)
        if not is_dry_run():
            os.close(hold(results / LOCK))


def remove_damaged(results: Path) -> list[Path]:
    """Remove published files whose content has changed since, and return them; a dry run only reports them.

    Snakemake makes missing outputs, so removal is all that a rebuild takes. A damaged run is set aside, and what was
    published by the jobs that made it or read it is removed, so that they make it and read it again.
    """
    if is_dry_run():
        return _damaged(results, "a real run rebuilds it", "a real run makes it again")
    # A job that outlives its main process may be between publishing a file and recording it.
    with published.publishing(results):
        damaged = _damaged(results, "it is rebuilt", "it is set aside and made again", RunStore.set_aside)
        for path in damaged:
            path.unlink(missing_ok=True)
    return damaged


def _damaged(
    results: Path, rebuilt: str, made: str, of_run: Callable[[RunStore, str], None] = lambda store, key: None
) -> list[Path]:
    """Return, and report, the damaged files, and those of jobs with a damaged run. of_run: what is done with the run."""
    files, store = published.damaged(results), RunStore(results / ".store")
    for path in files:
        print(f"{path}: changed or truncated since it was written; {rebuilt}", file=sys.stderr)
    found = published.made_from(results, published.RUNS, store.damaged(published.used(results, published.RUNS)))
    for key, own in found.items():
        of_run(store, key)
        if own:
            print(f"{store.folder(key)}: this run is not as it was stored; {made}", file=sys.stderr)
    return [*files, *(path for own in found.values() for path in own)]


def prepare_job(results: Path, same_machine: bool) -> None:
    """Join the invocation that owns `results`, in a Snakemake process that was started for jobs of another one.

    On the same machine it ends with the main process. On a cluster it may outlive it: its runs go to the store, and the
    generation keeps it from overwriting newer results. Raises ReidflowError for a job that waited in the queue while a
    newer invocation began: Snakemake would remove the newer results before starting it.
    """
    if same_machine:
        die_with_main()
        die_with_parent()
    os.environ[MAIN] = str(os.getpid())
    if GENERATION not in os.environ:
        path = generation_file(results)
        os.environ[GENERATION] = path.read_text() if path.exists() else ""
    if not same_machine:
        require_current(results)


def begin(results: Path) -> int:
    """Take the lock of `results` and become its owner, before the first job of a real run.

    Returns the descriptor that holds the lock. Raises ReidflowError when another invocation is active.
    """
    with disk.explained(results):
        results.mkdir(parents=True, exist_ok=True)
        descriptor = hold(results / LOCK)
        owner_file(results).parent.mkdir(parents=True, exist_ok=True)
        owner_file(results).touch()
        write_text(generation_file(results), os.environ[GENERATION])
        # The store's folders of runs hold complete runs only, and are many.
        remove_orphaned(results, skip=frozenset({"runs", "locks", "logs"}))
    return descriptor


def record(results: Path, configfiles: Sequence[str | Path], workflow: Any) -> None:
    """Record which jobs Snakemake's `workflow` consists of, for `reidflow gc`."""
    settings, dag = workflow.dag_settings, workflow.dag
    limits = [f"--until {rule}" for rule in settings.until] + [f"--omit-from {rule}" for rule in settings.omit_from]
    parts = [*settings.targets, *limits, *(["--batch"] if settings.batch else [])]
    target = " ".join(sorted(parts)) or published.ALL
    jobs = [(map(str, job.output), dag.needrun(job)) for job in dag.jobs if job.output]
    files = [os.path.relpath(file) if Path(file).is_relative_to(Path.cwd()) else str(file) for file in configfiles]
    with disk.explained(results):
        published.record_invocation(results, files, target, jobs)


def started() -> float:
    """Return when the command of this process's invocation was given, in seconds since the epoch."""
    return float(os.environ.get(STARTED, time.time()))


def require_current(results: Path) -> None:
    """Raise ReidflowError when a newer invocation owns `results`: this one must not publish into it."""
    path = generation_file(results)
    started_under = os.environ.get(GENERATION)
    if started_under and path.exists() and path.read_text() != started_under:
        raise ReidflowError(
            f"a newer run of the pipeline owns {results}/; this job's result is not published (finished training runs are kept)"
        )


def require_job_memory(status_command: str | None) -> None:
    """Raise ReidflowError where SLURM forgets finished jobs before the executor polls them: it would wait forever.

    status_command: what the executor polls with; only `squeue` depends on that memory.
    """
    if status_command != "squeue":
        return
    config = query_slurm("scontrol", "show", "config")
    age = re.search(r"^MinJobAge\s*=\s*(\d+)", config or "", re.MULTILINE)
    if age and int(age[1]) < MIN_JOB_AGE:
        raise ReidflowError(
            f"This SLURM forgets finished jobs after {age[1]} seconds (MinJobAge in `scontrol show config`; at least "
            f"{MIN_JOB_AGE} are needed), before their status is polled: jobs would seem to run forever. "
            "Set `slurm-status-command: sacct` in the profile."
        )


def query_slurm(*command: str) -> str | None:
    """Return the output of a SLURM command; None, with a message, where it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        print(f"{' '.join(command)} failed: {error}", file=sys.stderr)
        return None


def limit_scheduling() -> None:
    """Keep Snakemake's scheduler from looking at its waiting jobs again and again where nothing has changed.

    Each of its passes starts a timer of the length of `max-jobs-per-timespan` that begins a further pass, and each
    finished job begins one more such chain; a pass reads the sizes of all inputs of all jobs that are ready, and the
    process ends after its last timer. A timer is needed only while that limit holds jobs back: then there is one, and
    the end does not wait for it. A test shows when Snakemake no longer works this way.
    """
    from snakemake.scheduling.job_scheduler import JobScheduler

    pending = threading.Event()

    def schedule_once(scheduler: JobScheduler, delay: float) -> None:
        def begin_pass() -> None:
            pending.clear()
            scheduler._open_jobs.release()

        if not pending.is_set() and not scheduler.job_rate_limiter.get_free_jobs():
            pending.set()
            timer = threading.Timer(delay, begin_pass)
            timer.daemon = True
            timer.start()

    JobScheduler._schedule_reevalutation = schedule_once


def die_with_main() -> None:
    """End this process as soon as the main process that started it ends: an orphan must not write."""
    pid = int(os.environ.get(MAIN, 0))
    if pid and pid != os.getpid():
        die_with(pid)


def die_with_parent() -> None:
    """End this process as soon as its parent ends: when a shell is killed, Snakemake takes its job for failed."""
    die_with(os.getppid())


def die_with(pid: int) -> None:
    """End this process as soon as process `pid` ends (at once if it has ended). Used by pool workers too."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        os._exit(143)
    except (AttributeError, OSError):
        return

    def watch() -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
        os._exit(143)

    threading.Thread(target=watch, daemon=True).start()
