"""The ledger of published files: what each job wrote, so that a damaged result is detected and rebuilt."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reidflow.spec.canonical import short
from reidflow.store.atomic import write_text
from reidflow.store.locks import locked

LARGEST_CHECKSUM = 64 * 2**20  # bytes; of larger files the ledger holds the size only


@contextmanager
def publishing(results: Path) -> Iterator[None]:
    """Hold the lock under which files are published and recorded."""
    with locked(results / ".store" / "locks" / "publish"):
        yield


def record(results: Path, files: list[Path]) -> None:
    """Record the size and checksum of the files that one job has published."""
    entry = {path.as_posix(): [path.stat().st_size, _checksum(path)] for path in sorted(files)}
    own = _folder(results) / f"{short(sorted(entry))}.json"
    for other in sorted(_folder(results).glob("*.json")):
        # Another job, with other outputs beside it, may have written one of them before.
        if other != own and (former := _load(other)).keys() & entry.keys():
            write_text(other, json.dumps({name: mark for name, mark in former.items() if name not in entry}))
    write_text(own, json.dumps(entry))


def damaged(results: Path) -> list[Path]:
    """Return the published files whose content has changed since; missing files are not listed.

    A file is read only when its time or size differs from when it was last found unchanged.
    """
    seen_file = results / ".ledger.cache"
    seen, known, bad = _load(seen_file), {}, []
    for entry in sorted(_folder(results).glob("*.json")):
        for name, (size, checksum) in _load(entry).items():
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


def _folder(results: Path) -> Path:
    return results / ".ledger"


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
