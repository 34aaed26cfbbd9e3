"""The run store: finished training runs under a key of all that determines them, and readable folders of their files.

Only complete runs are ever visible. A lock per key admits one writer; an unfinished run keeps a resumable work folder.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from reidflow.spec.canonical import short
from reidflow.spec.yaml import dumps
from reidflow.store import published
from reidflow.store.atomic import replacing, sync, write_text
from reidflow.store.locks import locked

DONE = "done.json"
SPEC = "run.yaml"
COPIED = (".json", ".parquet")


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

    def has(self, key: str) -> bool:
        """Return whether the run is finished and stored."""
        return (self.folder(key) / DONE).is_file()

    def get_or_make(self, key: str, make: Callable[[Path, Path], str | None]) -> tuple[Path, bool]:
        """Return (folder of the finished run, whether it was stored already), making it where it is absent.

        `make(work, out)` may keep checkpoints in `work`; the files it leaves in `out` become the run. It returns a key
        where that of the run it made is not `key` (training was stopped early).
        A stored run whose files do not match their checksums is removed and made again.
        """
        with locked(self.root / "locks" / key):
            if self.has(key):
                if self._intact(key):
                    # A process that was killed just after it stored the run has left its checkpoint.
                    shutil.rmtree(self.work(key), ignore_errors=True)
                    self._note_use(key)
                    return self.folder(key), True
                self._discard(key)
            work, out = self.work(key), self.work(key) / "out"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            made = make(work, out) or key
            self._store_as(made, out, requested=key)
            shutil.rmtree(work, ignore_errors=True)
            self._note_use(made)
        return self.folder(made), False

    def _note_use(self, key: str) -> None:
        published.note_use(published.RUNS, key)
        # The time of the folder is when the run was last used; a store that cannot be written is no obstacle.
        with suppress(OSError):
            os.utime(self.folder(key))

    def _store_as(self, made: str, out: Path, requested: str) -> None:
        if made == requested:
            self._store(made, out)
            return
        with locked(self.root / "locks" / made):
            if not (self.has(made) and self._intact(made)):
                self._store(made, out)

    def _store(self, key: str, out: Path) -> None:
        sums = {path.name: _checksum(path) for path in sorted(out.iterdir())}
        for path in sorted(out.iterdir()):
            path.chmod(0o444)
            sync(path)
        (out / DONE).write_text(json.dumps(sums, sort_keys=True))
        sync(out / DONE)
        self.folder(key).parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder(key), ignore_errors=True)
        out.rename(self.folder(key))

    def _intact(self, key: str) -> bool:
        folder = self.folder(key)
        try:
            sums = json.loads((folder / DONE).read_text())
            return all(_checksum(folder / name) == checksum for name, checksum in sums.items())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False  # any other error in reading it is the disk's, and no reason to discard the run

    def _discard(self, key: str) -> None:
        print(f"{self.folder(key)}: damaged; the run is made again", file=sys.stderr, flush=True)
        shutil.rmtree(self.folder(key), ignore_errors=True)


def write_readable(arm: Path, runs: list[tuple[int, str, Path]], specs: dict[int, dict[str, Any]]) -> None:
    """Write the readable folder `arm`/seed-<n>/ of each run (seed, key, folder in the store); remove those of other seeds.

    Small files are copied; weights are hard links (where the file system has them) to the store's read-only file.
    run.yaml is the full spec of the arm's run, from `specs` (seed -> plain spec).
    """
    wanted = {f"seed-{seed}": folder for seed, _, folder in runs}
    for old in sorted(arm.glob("seed-*")):
        if old.name not in wanted:
            shutil.rmtree(old)
    for name, folder in wanted.items():
        for file in sorted(folder.iterdir()):
            if file.name in (DONE, SPEC):
                continue
            if file.suffix in COPIED:
                with replacing(arm / name / file.name) as temporary:
                    shutil.copyfile(file, temporary)
            else:
                _link(file, arm / name / file.name)
    for seed, spec in specs.items():
        write_text(arm / f"seed-{seed}" / SPEC, dumps(spec))


def _link(file: Path, target: Path) -> None:
    temporary = target.with_name(f".tmp-{target.name}")
    temporary.unlink(missing_ok=True)
    # Renaming a link to the same file does nothing, and would leave both.
    if target.exists() and target.samefile(file):
        return
    try:
        os.link(file, temporary)
    except OSError:
        shutil.copyfile(file, temporary)
        temporary.chmod(0o444)
    temporary.replace(target)


def remove_former_arms(experiment: Path, kept: list[str]) -> None:
    """Remove the folders of an experiment except those `kept`: arms that it no longer has."""
    for folder in sorted(experiment.iterdir()):
        if folder.is_dir() and folder.name not in kept:
            shutil.rmtree(folder)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
