"""The run store: finished training runs under a key of all that determines them, and readable folders of their files.

Only complete runs are ever visible. A lock per key admits one writer; an unfinished run keeps a resumable work folder.
Whoever reads a file of a stored run reads it through `verified`: a damaged run is set aside, and made again by the next
invocation of the pipeline.
A run is stored without the large files that nobody has requested yet: those of the many runs that are only compared on
validation would fill the disk. A request for a file that was left out makes the run again, once.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from pathlib import Path
from typing import Any

from reidflow.spec.canonical import short
from reidflow.spec.errors import ReidflowError
from reidflow.spec.yaml import dumps
from reidflow.store import published
from reidflow.store.atomic import replacing, sync, write_text
from reidflow.store.locks import locked

DONE = "done.json"
ASIDE = "damaged"
"""Folder of the store with the damaged runs, until they are made again."""
SPEC = "run.yaml"
WEIGHTS, EMBEDDINGS = "model.safetensors", "embeddings.parquet"
LARGE = frozenset({WEIGHTS, EMBEDDINGS})
WHOLE: frozenset[str] = frozenset()
LEFT_OUT = {
    # A choice on validation reads the history alone, unless it is one among rankings.
    "sweep": LARGE,
    "ranked_sweep": frozenset({WEIGHTS}),
    "search": LARGE,
    # Scored in the same job, and never used again.
    "strengths": frozenset({WEIGHTS}),
    "on_other_split": frozenset({WEIGHTS}),
    "split_runs": frozenset({WEIGHTS}),
}
"""Rule -> the files of its runs that no consumer of them reads; those of other rules are stored whole."""

# (file, inode, time of change) of those that this process has found as they were stored.
_VERIFIED: set[tuple[Path, int, int]] = set()


def run_key(spec: dict, code: str, data: str) -> str:
    """Return the key of a run: 32 hex digits over its spec, the digest of its code and the digest of its data."""
    return short({"spec": spec, "code": code, "data": data}, 32)


class RunStore:
    """Finished runs in `root`, by key."""

    def __init__(self, root: str | os.PathLike) -> None:
        self.root = Path(root)

    def folder(self, key: str) -> Path:
        """Return the folder of the run `key`, whether or not it exists."""
        return self.root / "runs" / key[:2] / key

    def work(self, key: str) -> Path:
        """Return the folder in which an unfinished run `key` keeps its checkpoint and progress."""
        return self.root / "work" / key

    def has(self, key: str, without: Set[str] = WHOLE) -> bool:
        """Return whether the run is finished and stored, with all its files but those that the caller can do `without`."""
        sums = self._sums(key)
        return sums is not None and _left_out(sums) <= without

    def get_or_make(
        self, key: str, make: Callable[[Path, Path], str | None], without: Set[str] = WHOLE
    ) -> tuple[Path, bool]:
        """Return (folder of the finished run, whether it was stored already), making it where it is absent.

        `make(work, out)` may keep checkpoints in `work`; the files it leaves in `out` become the run. It returns a key
        where that of the run it made is not `key` (training was stopped early). without: the files that the caller does
        not need, which are not stored. A stored run that lacks others is made again, and replaced when that is done.
        A stored run whose files do not match their checksums is set aside and made again, with the files that it had.
        """
        with locked(self.root / "locks" / key):
            sums = self._sums(key)
            if sums is not None:
                if not self._intact(key, sums):
                    without = without & _left_out(sums)
                    self._set_aside(key)
                    print(f"{self.folder(key)}: damaged; the run is made again", file=sys.stderr, flush=True)
                elif _left_out(sums) <= without:
                    # A process that was killed just after it stored the run has left its checkpoint.
                    shutil.rmtree(self.work(key), ignore_errors=True)
                    self._note_use(key)
                    return self.folder(key), True
            work, out = self.work(key), self.work(key) / "out"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            made = make(work, out) or key
            self._store_as(made, out, without, requested=key)
            shutil.rmtree(work, ignore_errors=True)
            self._note_use(made)
        return self.folder(made), False

    def _note_use(self, key: str) -> None:
        published.note_use(published.RUNS, key)
        # The time of the folder is when the run was last used; a store that cannot be written is no obstacle.
        with suppress(OSError):
            os.utime(self.folder(key))

    def _store_as(self, made: str, out: Path, without: Set[str], requested: str) -> None:
        if made == requested:
            self._store(made, out, without)
            return
        with locked(self.root / "locks" / made):
            sums = self._sums(made)
            if sums is None:
                self._store(made, out, without)
            elif not (self._intact(made, sums) and _left_out(sums) <= without):
                self._store(made, out, without & _left_out(sums))

    def _store(self, key: str, out: Path, without: Set[str]) -> None:
        sums: dict[str, str | None] = {}
        for path in sorted(out.iterdir()):
            if path.name in without:
                path.unlink()
                sums[path.name] = None
                continue
            sums[path.name] = _checksum(path)
            path.chmod(0o444)
            sync(path)
        (out / DONE).write_text(json.dumps(sums, sort_keys=True))
        sync(out / DONE)
        folder, former = self.folder(key), out.with_name("former")
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(former, ignore_errors=True)
        # Whoever reads the files of a run that is replaced misses it for a moment at most.
        with suppress(FileNotFoundError):
            folder.rename(former)
        out.rename(folder)
        shutil.rmtree(former, ignore_errors=True)
        shutil.rmtree(self.root / ASIDE / key, ignore_errors=True)

    def _sums(self, key: str) -> dict[str, str | None] | None:
        """Return the checksum of each file of a stored run, None for one that was left out; {} where it is not legible."""
        try:
            sums = json.loads((self.folder(key) / DONE).read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:
            return {}
        return sums if isinstance(sums, dict) else {}

    def _intact(self, key: str, sums: dict[str, str | None]) -> bool:
        try:
            return bool(sums) and all(
                _checksum(self.folder(key) / name) == checksum for name, checksum in sums.items() if checksum
            )
        except (FileNotFoundError, NotADirectoryError):
            return False  # any other error in reading it is the disk's, and no reason to discard the run

    def require_intact(self, key: str, name: str) -> None:
        """Raise ReidflowError where a run lacks a file, or has one that is not as it was stored; set the run aside."""
        with locked(self.root / "locks" / key):
            sums = self._sums(key) or {}
            if not (sums.get(name) and self._intact(key, sums)):
                self._set_aside(key)
                raise ReidflowError(
                    f"{self.folder(key) / name}: not as it was stored. The run has been set aside, in "
                    f"{self.root / ASIDE / key}. Run the same command again: this run is then made again, and no other."
                )

    def damaged(self, keys: Iterable[str]) -> list[str]:
        """Return those of the runs `keys` that were set aside, or whose files have changed since they were stored.

        The files of a run are read where one of them is newer than the checksums, which are written last.
        """
        aside = {path.name for path in (self.root / ASIDE).glob("*")}
        return [key for key in keys if key in aside or self._changed(key)]

    def _changed(self, key: str) -> bool:
        sums, folder = self.folder(key) / DONE, self.folder(key)
        try:
            with os.scandir(folder) as found:
                latest = max(file.stat().st_mtime_ns for file in found)
            if latest <= sums.stat().st_mtime_ns:
                return False
        except (OSError, ValueError):
            return False  # whoever needs a run that is gone misses it
        if not self._intact(key, self._sums(key) or {}):
            return True
        # It only saves reading them again; a dry run must work in a folder that cannot be written.
        with suppress(OSError):
            os.utime(sums)
        return False

    def set_aside(self, key: str) -> None:
        """Move a damaged run out of the store, where it stays until it is made again."""
        with locked(self.root / "locks" / key):
            self._set_aside(key)

    def _set_aside(self, key: str) -> None:
        aside = self.root / ASIDE / key
        if not self.folder(key).exists() and aside.exists():
            return
        shutil.rmtree(aside, ignore_errors=True)
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.folder(key).rename(aside)
        except FileNotFoundError:
            aside.mkdir()


def verified(folder: Path, name: str) -> Path:
    """Return a file of a finished run after comparing it with its checksum, once in this process.

    The job of this process then uses the run: what it publishes is made again if the run is found damaged later. A folder
    without checksums, such as a readable one, is taken as it is. Raises ReidflowError where the file is not as
    it was stored, or gone: the run is then set aside.
    """
    path = folder / name
    if not (folder / DONE).exists() and folder.parent.name != folder.name[:2]:
        return path
    published.note_use(published.RUNS, folder.name)
    try:
        stat = path.stat()
        mark = path, stat.st_ino, stat.st_mtime_ns
        if mark in _VERIFIED:
            return path
        if json.loads((folder / DONE).read_text())[name] == _checksum(path):
            _VERIFIED.add(mark)
            return path
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        pass
    RunStore(folder.parents[2]).require_intact(folder.name, name)
    return path


def readable_name(seed: int, fold: int | None = None) -> str:
    """Return the name of the readable folder of a run in that of its arm. fold: where its experiment has several."""
    return f"seed-{seed}" if fold is None else f"seed-{seed}-fold-{fold}"


def write_readable(arm: Path, runs: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    """Write the readable folder of each run in that of its arm; remove those of other runs.

    runs: name of the folder -> (folder in the store, plain spec of the arm's run, which is written as run.yaml).
    Small files are copied; weights and embeddings are links to the store's read-only files.
    """
    for old in sorted(arm.glob("seed-*")):
        if old.name not in runs:
            shutil.rmtree(old)
    for name, (folder, spec) in runs.items():
        for file in sorted(folder.iterdir()):
            if file.name in (DONE, SPEC):
                continue
            if file.name in LARGE:
                _link(file, arm / name / file.name)
                continue
            with replacing(arm / name / file.name) as temporary:
                shutil.copyfile(file, temporary)
        write_text(arm / name / SPEC, dumps(spec))


def _link(file: Path, target: Path) -> None:
    """Make `target` a hard link to `file`, else a symbolic one, else a read-only copy: as the file system allows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".tmp-{target.name}")
    temporary.unlink(missing_ok=True)
    # Renaming a link to the same file does nothing, and would leave both.
    if target.exists() and target.samefile(file):
        return
    try:
        os.link(file, temporary)
    except OSError:
        try:
            temporary.symlink_to(os.path.relpath(file, target.parent))
        except OSError:
            shutil.copyfile(file, temporary)
            temporary.chmod(0o444)
    temporary.replace(target)


def remove_former_arms(experiment: Path, kept: list[str]) -> None:
    """Remove the folders of an experiment except those `kept`: arms that it no longer has."""
    for folder in sorted(experiment.iterdir()):
        if folder.is_dir() and folder.name not in kept:
            shutil.rmtree(folder)


def _left_out(sums: dict[str, str | None]) -> Set[str]:
    return {name for name, checksum in sums.items() if checksum is None}


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
