"""`reidflow gc`: list what the latest invocation of no config uses, and remove it on request.

Every invocation of the pipeline records its jobs, and every job the store entries that it used (`store.published`).
"""

import errno
import json
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from reidflow.commands.watch import file_time, read_json, run_name
from reidflow.spec import config as configs
from reidflow.spec.errors import ReidflowError
from reidflow.store import digests, published
from reidflow.store.activity import ABOUT, JOBS
from reidflow.store.locks import hold, is_held, try_lock
from reidflow.store.runs import ASIDE
from reidflow.workflow.units import duration, size

TRASH = "trash"
RECORDS = (digests.CODE, digests.IMAGES, digests.EXPERIMENTS)
SHELF, KEY = "[0-9a-f]{2}", "[0-9a-f]{32}"
NAMES = {
    published.RUNS: "run",
    published.STUDIES: "study",
    published.FEATURES: "feature cache",
    published.MASKS: "mask cache",
    published.LOCAL: "local feature cache",
    published.MATCHES: "match cache",
    digests.CODE: "file list of code",
    digests.IMAGES: "file list of images",
    digests.EXPERIMENTS: "experiment description",
}
PLURALS = {"study": "studies", "file list of code": "file lists of code", "file list of images": "file lists of images"}


class Item(NamedTuple):
    """Something unused: its files and folders, and the locks that whoever works on it holds."""

    kind: str
    description: str
    paths: tuple[Path, ...]
    locks: tuple[str, ...] = ()


class Extent(NamedTuple):
    """What an item occupies on the disk, bytes, and when it was last written or used, seconds since the epoch."""

    size: int
    used: float


@dataclass
class Found:
    """The unused items, and how many of each kind are in use, or were used too recently to be removed."""

    items: list[Item] = field(default_factory=list)
    used: Counter = field(default_factory=Counter)
    recent: Counter = field(default_factory=Counter)


def collect(files: list[str], hours: float, remove: bool) -> int:
    """List what is unused in the results folder of a config, and `remove` it; return the exit status.

    hours: what was used within so many hours is kept. Raises ReidflowError where a pipeline is active in the folder, or
    none is on record.
    """
    results = Path(configs.require(configs.read(files), ", ".join(files)).results)
    if not (results / ".store").is_dir():
        print(f"{results}/: there is nothing yet.")
        return 0
    if not remove:
        if _list(results, hours).items:
            options = "".join(f"--configfile {file} " for file in files)
            print(f"Nothing was removed. To remove what is listed: reidflow {options}gc --remove")
        return 0
    with _exclusive(results):
        status = _remove(results, _list(results, hours).items)
        _forget(results)
    return status


def find(results: Path, hours: float) -> Found:
    """Return what is in a results folder that the latest invocation of no config uses.

    Where the latest invocation of a config has not finished, all that was used since it began is kept: it continues
    from there. Raises ReidflowError where no invocation of an existing config is on record.
    """
    invocations = _invocations(results)
    entries = published.entries(results)
    current = _current(invocations)
    keys: dict[str, set[str]] = {}
    for name in current & entries.keys():
        for kind, own in entries[name].uses.items():
            keys.setdefault(kind, set()).update(own)
    since = min([file_time(results) - hours * 3600, *_unfinished(results, invocations)])
    found = Found()
    for item, used in [*_stored(results, keys), *_results(results, entries, current), *_leftovers(results)]:
        if used or any(is_held(results / ".store" / "locks" / lock) for lock in item.locks):
            found.used[item.kind] += 1
        elif extent(item.paths).used > since and item.kind != "leftover":
            found.recent[item.kind] += 1
        else:
            found.items.append(item)
    return found


def _invocations(results: Path) -> list[published.Invocation]:
    """Return the latest invocation of each config whose files still exist."""
    found = [one for one in published.invocations(results) if all(Path(file).exists() for file in one.configfiles)]
    if not found:
        raise ReidflowError(
            f"{results}/: no run of the pipeline is on record, so nothing is known to be unused. Run the pipeline first, "
            "with every config whose results are there."
        )
    return found


def _current(invocations: list[published.Invocation]) -> set[str]:
    """Return the ledger entries of all jobs of these invocations."""
    return {name for invocation in invocations for jobs in invocation.jobs.values() for name in jobs}


def _unfinished(results: Path, invocations: list[published.Invocation]) -> Iterator[float]:
    """Yield when each invocation began that has not finished all its jobs."""
    for invocation in invocations:
        files = [published.entry_file(results, name) for name in invocation.pending]
        if any(not file.exists() or file.stat().st_mtime < invocation.started for file in files):
            yield invocation.started


def _stored(results: Path, keys: dict[str, set[str]]) -> Iterator[tuple[Item, bool]]:
    """Yield the entries of the store, and whether each is used."""
    store, log = results / ".store", _log(results)
    for shelf in _folders(store / published.RUNS, SHELF):
        for folder in _folders(shelf):
            item = Item("run", log.get(folder.name, "not in the log"), (folder,), (folder.name,))
            yield item, folder.name in keys.get(published.RUNS, ())
    for folder in _folders(store / "work"):
        about = run_name(read_json(folder / ABOUT) or {})
        yield Item("unfinished run", about or "of unknown origin", (folder,), (folder.name,)), False
    for kind in (published.STUDIES, published.FEATURES, published.MASKS, published.LOCAL, published.MATCHES):
        for folder in _folders(store / kind):
            yield Item(NAMES[kind], "", (folder,)), folder.name in keys.get(kind, ())
    for kind in RECORDS:
        for file in sorted((store / kind).glob("[!.]*")):
            yield Item(NAMES[kind], "", (file,)), file.name in keys.get(kind, ())


def _results(results: Path, entries: dict[str, published.Entry], current: set[str]) -> Iterator[tuple[Item, bool]]:
    """Yield the published results of all jobs; those that are no longer part of any invocation by topmost folder."""
    needed: set[Path] = set()
    for name in current & entries.keys():
        files = [Path(file) for file in entries[name].files]
        needed.update(parent for file in files for parent in (file, *file.parents))
        yield Item("result", "", tuple(files), (name,)), True
    former: dict[Path, set[str]] = {}
    for name in entries.keys() - current:
        for file in filter(Path.exists, map(Path, entries[name].files)):
            former.setdefault(_topmost(file, results, needed), set()).add(name)
    for path, names in sorted(former.items()):
        yield Item("result", "", (path,), tuple(sorted(names))), False


def _topmost(file: Path, results: Path, needed: set[Path]) -> Path:
    """Return the topmost folder around a file, two levels below the results folder, that holds nothing needed."""
    deepest = len(results.parts) + 2
    while len(file.parts) > deepest and file.parent not in needed:
        file = file.parent
    return file


def _leftovers(results: Path) -> Iterator[tuple[Item, bool]]:
    """Yield what killed processes left, and damaged runs that no job has made again."""
    store = results / ".store"
    for path in sorted([*store.glob(f"{TRASH}/*"), *store.glob(f"{ASIDE}/*"), *store.glob(".tmp-features-*")]):
        yield Item("leftover", path.name, (path,)), False
    for path in sorted((store / JOBS).glob("*.json")):
        yield Item("leftover", f"of the job {(read_json(path) or {}).get('job', '')}", (path,), (path.stem,)), False


def _log(results: Path) -> dict[str, str]:
    """Return key -> what the run was and which arm used it last, as far as the log says."""
    found = {}
    try:
        lines = (results / ".store" / "log.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            run: dict[str, Any] = json.loads(line)
            found[run["key"]] = ": ".join(filter(None, (run_name(run), f"{run['loss']}, seed {run['seed']}")))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _folders(parent: Path, pattern: str = KEY) -> list[Path]:
    """Return the folders in `parent` with names as the pipeline gives them; no links, which may lead anywhere."""
    try:
        return sorted(
            Path(entry.path)
            for entry in os.scandir(parent)
            if entry.is_dir(follow_symlinks=False) and re.fullmatch(pattern, entry.name)
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ReidflowError(f"{parent}: {error.strerror}.") from error


@contextmanager
def _exclusive(results: Path) -> Iterator[None]:
    """Hold the lock of the pipeline's main process. Raises ReidflowError where another process is at work."""
    try:
        held = hold(results / ".lock")
    except OSError as error:
        raise ReidflowError(f"{results}/.lock: {error.strerror}; nothing was removed.") from error
    try:
        # On a cluster, jobs may outlive the main process that started them.
        for lock in sorted((results / ".store" / "locks").glob("*")):
            if is_held(lock):
                raise ReidflowError(
                    f"{results}/: a job is still running ({lock.read_text(errors='replace')[:200]}), perhaps from an "
                    "earlier invocation on a cluster. Wait for it, or stop it; nothing was removed."
                )
        yield
    finally:
        os.close(held)


def _list(results: Path, hours: float) -> Found:
    found, now = find(results, hours), time.time()
    print(f"{results}/ as of the latest runs of the pipeline:")
    for invocation in _invocations(results):
        age = duration(now - invocation.started)
        print(f"  {', '.join(invocation.configfiles)}, {age} ago; to disregard it, delete {invocation.file}")
    for item in _merged(found.items):
        occupied = extent(item.paths)
        row = f"{item.kind:<24}{size(occupied.size):>8}{duration(now - occupied.used):>12}  {item.description}"
        print(f"{row.rstrip()}  [{item.paths[0].relative_to(results)}]")
    # Together, since weights have one name in the store and another in a readable folder.
    total = extent(path for item in found.items for path in item.paths).size
    print(f"Unused: {_counted(Counter(item.kind for item in found.items))}; {size(total)} in all.")
    print(f"In use: {_counted(found.used)}.")
    if found.recent:
        unfinished = (
            " or since an invocation that has not finished" if any(_unfinished(results, _invocations(results))) else ""
        )
        print(f"Kept because used in the last {hours:g} hours{unfinished}: {_counted(found.recent)}.")
    return found


def _merged(items: list[Item]) -> list[Item]:
    """Return the items with the records of digests, which are many and small, as one of each kind."""
    kinds = [NAMES[kind] for kind in RECORDS]
    found = [item for item in items if item.kind not in kinds]
    for kind in kinds:
        paths = tuple(path for item in items if item.kind == kind for path in item.paths)
        found += [Item(kind, f"{len(paths)} of them", paths)] if paths else []
    return found


def _counted(counts: Counter) -> str:
    texts = [f"{count} {kind if count == 1 else PLURALS.get(kind, f'{kind}s')}" for kind, count in counts.items()]
    return ", ".join(texts) or "nothing"


def _remove(results: Path, items: list[Item]) -> int:
    trash, locks, removed, failed = results / ".store" / TRASH, results / ".store" / "locks", 0, 0
    for item in items:
        try:
            trash.mkdir(exist_ok=True)
            with ExitStack() as stack:
                if all(stack.enter_context(try_lock(locks / lock)) for lock in item.locks):
                    _discard(item, trash)
                    removed += 1
        except OSError as error:
            reason = "it is on another disk" if error.errno == errno.EXDEV else error.strerror
            print(f"{item.paths[0]}: not removed: {reason}.", file=sys.stderr)
            failed += 1
    shutil.rmtree(trash, ignore_errors=True)
    print(f"Removed {removed} of {len(items)}.")
    return int(failed > 0)


def _forget(results: Path) -> None:
    """Remove the ledger entries of former jobs whose results are all gone."""
    current = _current(_invocations(results))
    for name, entry in published.entries(results).items():
        if name not in current and not any(Path(file).exists() for file in entry.files):
            published.entry_file(results, name).unlink()


def _discard(item: Item, trash: Path) -> None:
    """Move an item out of sight, each of its parts at once, then delete it, so that a kill leaves no part half there."""
    for number, path in enumerate(item.paths):
        if path.parent == trash:
            continue
        target = trash / f"{time.time_ns()}-{number}-{path.name}"
        path.rename(target)
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)


def extent(paths: Iterable[Path]) -> Extent:
    """Return what files and folders occupy. A file that has another name elsewhere frees nothing when removed."""
    occupied, used, links = 0, 0.0, {}
    for path in paths:
        for file in [path, *path.rglob("*")]:
            try:
                stat = file.lstat()
            except OSError:
                continue
            used = max(used, stat.st_mtime)
            left = links.setdefault((stat.st_dev, stat.st_ino), stat.st_nlink) - 1
            links[stat.st_dev, stat.st_ino] = left
            if not file.is_dir() and not left:
                occupied += stat.st_size
    return Extent(occupied, used)
