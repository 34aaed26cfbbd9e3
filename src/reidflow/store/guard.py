"""What protects results from processes that should no longer write, and from records that were lost."""

import logging
import os
import select
import sys
import threading
import time
import uuid
from pathlib import Path

from reidflow.spec.errors import ReidflowError
from reidflow.store import disk, planning
from reidflow.store.atomic import sweep, write_text
from reidflow.store.locks import hold

MAIN = "REIDFLOW_MAIN"
GENERATION = "REIDFLOW_GENERATION"
STARTED = "REIDFLOW_STARTED"
LOCK = ".lock"
TOUCH = {"--touch", "-t"}


def generation_file(results: Path) -> Path:
    """Return the file that names the run of the pipeline which owns `results`."""
    return results / ".generation"


def owner_file(results: Path) -> Path:
    """Return the marker that lies with Snakemake's own records and is lost together with them."""
    return Path(".snakemake") / f"reidflow-{'-'.join(results.parts)}"


def offer_sources(folder: Path) -> None:
    """Let the processes that this one starts import the package from `folder`, before any installed copy."""
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(folder), *filter(None, known)]))


def prepare_main(results: Path) -> None:
    """Called by the main process before anything is planned: names itself, and looks for lost records.

    Raises ReidflowError when results exist but Snakemake's records of them do not: stale results would survive; and,
    unless this command only looks, when another run is active or the disk takes nothing.
    """
    # Snakemake's own log may lie on a full disk: what is said there must not drown in tracebacks of the logger.
    logging.raiseExceptions = False
    if TOUCH & set(sys.argv):
        raise ReidflowError(
            "--touch is refused: it would mark results as current that are not. Just run the command: what is current is "
            "recognised by its content, and finished runs are restored from the store."
        )
    os.environ[MAIN] = str(os.getpid())
    os.environ[GENERATION] = uuid.uuid4().hex
    os.environ[STARTED] = str(time.time())
    if generation_file(results).exists() and not owner_file(results).exists():
        raise ReidflowError(
            f"{results}/ holds results, but Snakemake's records of them (.snakemake/) are gone, so stale results could not "
            f"be told from fresh ones. Remove the results and run again: rm -r {results}/[!.]* {generation_file(results)}\n"
            f"Finished runs stay in {results}/.store and are restored, not trained."
        )
    records = owner_file(results).parent
    with disk.named(results):
        # Snakemake writes its records even when it only looks.
        for folder in [records] if planning.looking() else [results, records]:
            disk.require_room(folder)
        if not planning.looking():
            os.close(hold(results / LOCK))


def prepare_job(results: Path, same_machine: bool) -> None:
    """Called by a Snakemake that was started for jobs of another one: joins the run that owns `results`.

    On the same machine it ends with the main process. On a cluster it may outlive it: its runs go to the store, and
    the generation keeps it from publishing over newer results. One that waited in the queue meanwhile does not start:
    Snakemake would remove the newer results first. Raises ReidflowError then.
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
        hide_unassigned_cards()


def without_card() -> bool:
    """Return whether this is a job of SLURM's that was given no graphics card."""
    given = ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS")
    return "SLURM_JOB_ID" in os.environ and not any(os.environ.get(name) for name in given)


def hide_unassigned_cards() -> None:
    """Let a job that was given no graphics card see none: not every cluster hides those of other jobs."""
    if without_card():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def begin(results: Path) -> int:
    """Called by the main process of a real run before its first job: takes the lock and becomes the owner.

    Returns the descriptor that holds the lock. Raises ReidflowError when another run is active.
    """
    with disk.named(results):
        results.mkdir(parents=True, exist_ok=True)
        descriptor = hold(results / LOCK)
        owner_file(results).parent.mkdir(parents=True, exist_ok=True)
        owner_file(results).touch()
        write_text(generation_file(results), os.environ[GENERATION])
        # The store's own folders of runs hold whole ones alone, and are many.
        sweep(results, apart_from=frozenset({"runs", "locks", "logs"}))
    return descriptor


def started() -> float:
    """Return when the command was given that this process belongs to, in seconds since the epoch."""
    return float(os.environ.get(STARTED, time.time()))


def require_current(results: Path) -> None:
    """Raise ReidflowError when a newer run of the pipeline owns `results`: this one must not publish into it."""
    path = generation_file(results)
    started_under = os.environ.get(GENERATION)
    if started_under and path.exists() and path.read_text() != started_under:
        raise ReidflowError(
            f"a newer run of the pipeline owns {results}/; this job's result is not published (finished training runs are kept)"
        )


def die_with_main() -> None:
    """End this process as soon as the main process that started it ends: an orphan must not write."""
    pid = int(os.environ.get(MAIN, 0))
    if pid and pid != os.getpid():
        die_with(pid)


def die_with_parent() -> None:
    """End this process as soon as the one that started it ends: with a killed shell its job is taken for failed."""
    die_with(os.getppid())


def die_with(pid: int) -> None:
    """End this process as soon as process `pid` ends (at once if it has ended). Workers of a pool do so too."""
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
