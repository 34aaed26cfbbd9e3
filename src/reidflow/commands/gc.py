"""`reidflow gc`: what no experiment uses any more is listed, and removed on request."""

import errno
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from reidflow.commands.unused import TRASH, Found, Item, find
from reidflow.commands.words import duration, size
from reidflow.spec import plan
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import Plan
from reidflow.store.locks import hold, is_held, try_lock

PLURALS = {"study": "studies"}


class Weight(NamedTuple):
    """What an item takes on the disk, bytes, and when its youngest file was written, seconds since the epoch."""

    size: int
    written: float


def collect(files: list[str], also: list[str], remove: bool) -> int:
    """List what is unused, and `remove` it; return the exit status.

    files: the config; also: further configs whose results lie in the same folder. Raises ReidflowError where a pipeline
    is active in it.
    """
    plans = [plan.make(files), *(plan.make([other]) for other in also)]
    results = Path(plans[0].config.results)
    for other in plans[1:]:
        if Path(other.config.results) != results:
            raise ReidflowError(f"{other.where}: its results lie in {other.config.results}/, not in {results}/.")
    if not (results / ".store").is_dir():
        print(f"{results}/: there is nothing yet.")
        return 0
    if not remove:
        _list(results, plans, files, also)
        return 0
    with _nobody_else(results):
        found = _list(results, plans, files, None)
        return _remove(results, found.items)


@contextmanager
def _nobody_else(results: Path) -> Iterator[None]:
    """Hold the lock of the pipeline's main process. Raises ReidflowError where anybody is at work."""
    try:
        held = hold(results / ".lock")
    except OSError as error:
        raise ReidflowError(f"{results}/.lock: {error.strerror}; nothing was removed.") from error
    try:
        # On a cluster, jobs may outlive the main process that started them.
        for lock in sorted((results / ".store" / "locks").glob("*")):
            if is_held(lock):
                raise ReidflowError(
                    f"{results}/: a job is still at work there ({lock.read_text(errors='replace')[:200]}), perhaps of a "
                    "former run of the pipeline on a cluster. Wait for it, or stop it; nothing was removed."
                )
        yield
    finally:
        os.close(held)


def _list(results: Path, plans: list[Plan], files: list[str], also: list[str] | None) -> Found:
    waiting = _waiting(files)
    found = find(plans, settled=waiting == "")
    weights = [weigh(item.paths) for item in found.items]
    if found.items:
        print(f"Unused in {results}/, by {', '.join(made.where for made in plans)}:")
    now = time.time()
    for item, weight in zip(found.items, weights, strict=True):
        row = f"{item.kind:<17}{size(weight.size):>8}{duration(now - weight.written):>12}  {item.what}"
        print(f"{row}  [{item.paths[0].relative_to(results)}]")
    # Together, since weights have a name in the store and one in a readable folder.
    total = weigh(path for item in found.items for path in item.paths).size
    for line in _summary(results, found, total, waiting):
        print(line)
    if found.items and also is not None:
        options = [*(f"--configfile {file}" for file in files), "gc", *(f"--also {other}" for other in also)]
        print(f"Nothing was removed. To remove what is listed: reidflow {' '.join(options)} --remove")
    return found


def _summary(results: Path, found: Found, total: int, waiting: str) -> list[str]:
    lines = [f"{results}/: {_counted(found.items)} unused, {size(total)} in all."]
    if found.used:
        lines.append(f"In use: {_told(found.used)}.")
    if found.open:
        lines.append(f"Kept, since it cannot be said yet whether they will be used: {_told(found.open)}.")
    if waiting:
        lines.append(
            f"The pipeline is not finished ({waiting}), so whatever a current arm or search may still ask for is kept. "
            "Run it first to tell more."
        )
    return lines


def _counted(items: list[Item]) -> str:
    counts: dict[str, int] = {}
    for item in items:
        counts[item.kind] = counts.get(item.kind, 0) + 1
    return _told(counts) or "nothing is"


def _told(counts: dict[str, int]) -> str:
    return ", ".join(
        f"{count} {kind if count == 1 else PLURALS.get(kind, f'{kind}s')}" for kind, count in counts.items()
    )


def _waiting(files: list[str]) -> str:
    """Return what keeps the pipeline from being finished, empty where nothing does."""
    # Only this needs Snakemake, which takes a second to import.
    from reidflow.commands.plan_dag import Asked, read_dag

    try:
        jobs = len(read_dag(Asked(files, [])).jobs)
    except ReidflowError as error:
        return str(error).splitlines()[0]
    return f"{jobs} jobs are to be done" if jobs else ""


def _remove(results: Path, items: list[Item]) -> int:
    trash, locks, removed, failed = results / ".store" / TRASH, results / ".store" / "locks", 0, 0
    for item in items:
        try:
            trash.mkdir(exist_ok=True)
            if item.lock:
                with try_lock(locks / item.lock) as free:
                    done = free and _throw_away(item, trash)
            else:
                done = _throw_away(item, trash)
        except OSError as error:
            done, reason = False, "it lies on another disk" if error.errno == errno.EXDEV else error.strerror
            print(f"{item.paths[0]}: not removed: {reason}.", file=sys.stderr)
            failed += 1
        removed += bool(done)
    shutil.rmtree(trash, ignore_errors=True)
    print(f"Removed {removed} of {len(items)}.")
    return int(failed > 0)


def _throw_away(item: Item, trash: Path) -> bool:
    """Move an item out of sight, each of its parts at once, then delete it: whenever this is killed, none is half there."""
    for number, path in enumerate(item.paths):
        if path.parent == trash:
            continue
        place = trash / f"{time.time_ns()}-{number}-{path.name}"
        path.rename(place)
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)
    return True


def weigh(paths: Iterable[Path]) -> Weight:
    """Return what files and folders take. Of a file that also has another name elsewhere nothing becomes free."""
    size, written, links = 0, 0.0, {}
    for path in paths:
        for file in [path, *path.rglob("*")]:
            try:
                stat = file.lstat()
            except OSError:
                continue
            written = max(written, stat.st_mtime)
            left = links.setdefault((stat.st_dev, stat.st_ino), stat.st_nlink) - 1
            links[stat.st_dev, stat.st_ino] = left
            if not file.is_dir() and not left:
                size += stat.st_size
    return Weight(size, written)
