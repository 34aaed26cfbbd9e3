"""The ledger: the files that each job published, the store entries it used, and the jobs of each config's latest invocation.

The first detects damaged results, so that they are rebuilt; the others decide what `reidflow gc` may remove.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from reidflow.spec.canonical import short
from reidflow.store.atomic import write_text
from reidflow.store.locks import locked

LARGEST_CHECKSUM = 64 * 2**20  # bytes; of larger files the ledger holds the size only
RUNS, FEATURES, STUDIES, MASKS, LOCAL, MATCHES = "runs", "features", "studies", "masks", "local", "matches"
ALL = "all_tables"

# Kind (a folder of the store) -> the keys that this process has used so far.
_USED: dict[str, set[str]] = {}


def note_use(kind: str, *keys: str) -> None:
    """Note that the job of this process uses store entries of a kind: RUNS, FEATURES, STUDIES, MASKS, LOCAL, MATCHES."""
    _USED.setdefault(kind, set()).update(keys)


@contextmanager
def publishing(results: Path) -> Iterator[None]:
    """Hold the lock under which files are published and recorded."""
    with locked(results / ".store" / "locks" / "publish"):
        yield


class Entry(NamedTuple):
    """What one job published: file name -> (size, checksum); store kind -> the keys that it used."""

    files: dict[str, list]
    uses: dict[str, list[str]]


def entry_name(outputs: Iterable[str]) -> str:
    """Return the name of the ledger entry, and of the lock, of the job with these outputs."""
    return short(sorted(Path(output).as_posix() for output in outputs))


def record(results: Path, files: list[Path], uses: Mapping[str, Iterable[str]] | None = None) -> None:
    """Record the size and checksum of the files that one job has published, and the store entries that it used.

    uses: kind -> keys, besides those of `note_use`.
    """
    marks = {path.as_posix(): [path.stat().st_size, _checksum(path)] for path in sorted(files)}
    used = {kind: sorted(keys) for kind, keys in {**_USED, **(uses or {})}.items()}
    own = _folder(results) / f"{entry_name(marks)}.json"
    for other in sorted(_folder(results).glob("*.json")):
        # Another job, with other outputs beside it, may have written one of them before.
        if other != own and (former := _entry(other)).files.keys() & marks.keys():
            _write(other, former._replace(files={name: m for name, m in former.files.items() if name not in marks}))
    _write(own, Entry(marks, used))


def entries(results: Path) -> dict[str, Entry]:
    """Return all ledger entries by name."""
    return {path.stem: _entry(path) for path in sorted(_folder(results).glob("*.json"))}


def entry_file(results: Path, name: str) -> Path:
    """Return the file of a ledger entry; its time is when the job last published."""
    return _folder(results) / f"{name}.json"


def damaged(results: Path) -> list[Path]:
    """Return the published files whose content has changed since; missing files are not listed.

    A file is read only when its time or size differs from when it was last found unchanged.
    """
    seen_file = results / ".ledger.cache"
    seen, known, bad = _load(seen_file), {}, []
    for entry in entries(results).values():
        for name, (size, checksum) in entry.files.items():
            try:
                stat = Path(name).stat()
            except OSError:
                continue
            mark = [stat.st_size, stat.st_mtime_ns, checksum]
            if seen.get(name) != mark and (stat.st_size != size or (checksum and _checksum(Path(name)) != checksum)):
                bad.append(Path(name))
            else:
                known[name] = mark
    if known != seen:
        # It only saves time; a dry run must work in a folder that cannot be written.
        with suppress(OSError):
            write_text(seen_file, json.dumps(known))
    return bad


def made_from(results: Path, kind: str, keys: Iterable[str]) -> dict[str, list[Path]]:
    """Return key -> the published files, of those that are there, of the jobs that used a store entry of a kind."""
    found: dict[str, list[Path]] = {key: [] for key in keys}
    for entry in entries(results).values() if found else ():
        for key in found.keys() & set(entry.uses.get(kind, ())):
            found[key] += [path for path in map(Path, entry.files) if path.exists()]
    return found


def used(results: Path, kind: str) -> list[str]:
    """Return the keys of the store entries of a kind that any job used, sorted."""
    return sorted({key for entry in entries(results).values() for key in entry.uses.get(kind, ())})


class Invocation(NamedTuple):
    """The latest invocation of a config.

    jobs: target -> ledger entries of all its jobs. pending: those of the jobs that had to run. started: seconds since
    the epoch, by the clock of the disk.
    """

    file: Path
    configfiles: list[str]
    jobs: dict[str, list[str]]
    pending: list[str]
    started: float


def record_invocation(
    results: Path, configfiles: list[str], target: str, jobs: Iterable[tuple[Iterable[str], bool]]
) -> None:
    """Record the jobs of an invocation that is about to start. jobs: outputs of each, and whether it has to run.

    A complete invocation (target ALL) supersedes those of parts of it and of single files; those of other rules stay.
    """
    path = _invocations(results) / f"{Path(configfiles[0]).stem}-{short(configfiles)}.json"
    former = _load(path).get("jobs", {})
    kept = {name: own for name, own in former.items() if target != ALL or not _is_partial(name)}
    named = [(entry_name(outputs), pending) for outputs, pending in jobs]
    content = {
        "configfiles": configfiles,
        "jobs": {**kept, target: sorted(name for name, _ in named)},
        "pending": sorted(name for name, pending in named if pending),
    }
    write_text(path, json.dumps(content))


def _is_partial(target: str) -> bool:
    """Return whether a target is part of ALL: ALL itself, single files, or an option that limits the jobs."""
    return ALL in target or "/" in target or "--" in target


def invocations(results: Path) -> list[Invocation]:
    """Return the latest invocation of each config on record."""
    found = [(path, _load(path)) for path in sorted(_invocations(results).glob("*.json"))]
    return [Invocation(path, **content, started=path.stat().st_mtime) for path, content in found if content]


def _folder(results: Path) -> Path:
    return results / ".ledger"


def _invocations(results: Path) -> Path:
    return results / ".store" / "used"


def _entry(path: Path) -> Entry:
    content = _load(path)
    return Entry(content.get("files", {}), content.get("uses", {}))


def _write(path: Path, entry: Entry) -> None:
    write_text(path, json.dumps(entry._asdict()))


def _load(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _checksum(path: Path) -> str | None:
    if path.stat().st_size > LARGEST_CHECKSUM:
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
