"""The run store: finished training runs under a key that says everything about them.

Only whole runs are ever visible. One lock per key keeps one writer; a resumable work folder lies beside.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from reidflow.spec.canonical import short
from reidflow.store.atomic import sync
from reidflow.store.locks import locked

DONE = "done.json"


def run_key(spec: dict, code: str, data: str) -> str:
    """Return the key of a run: 32 hex digits over its spec, the digest of its code and the digest of its data."""
    return short({"spec": spec, "code": code, "data": data}, 32)


class RunStore:
    """Finished runs in `root`, by key."""

    def __init__(self, root: str | os.PathLike) -> None:
        self.root = Path(root)

    def folder(self, key: str) -> Path:
        """Return where the run `key` lies or would lie."""
        return self.root / "runs" / key[:2] / key

    def work(self, key: str) -> Path:
        """Return the folder in which an unfinished run `key` keeps its checkpoint and progress."""
        return self.root / "work" / key

    def has(self, key: str) -> bool:
        """Return whether the run is finished and stored."""
        return (self.folder(key) / DONE).is_file()

    def get_or_make(self, key: str, make: Callable[[Path, Path], str | None]) -> tuple[Path, bool]:
        """Return (folder of the finished run, whether it was there already), making it where it is absent.

        `make(work, out)` may keep what it needs to resume in `work`; the files it leaves in `out` become the run. Where
        it made another run than was asked for, it returns that one's key.
        A stored run whose files do not match their checksums is set aside and made again.
        """
        with locked(self.root / "locks" / key):
            if self.has(key):
                if self._sound(key):
                    # A process that was killed just after it had stored the run has left its checkpoint.
                    shutil.rmtree(self.work(key), ignore_errors=True)
                    return self.folder(key), True
                self._discard(key)
            work, out = self.work(key), self.work(key) / "out"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            made = make(work, out) or key
            self._store_as(made, out, asked=key)
            shutil.rmtree(work, ignore_errors=True)
        return self.folder(made), False

    def _store_as(self, made: str, out: Path, asked: str) -> None:
        if made == asked:
            self._store(made, out)
            return
        with locked(self.root / "locks" / made):
            if not (self.has(made) and self._sound(made)):
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

    def _sound(self, key: str) -> bool:
        folder = self.folder(key)
        try:
            sums = json.loads((folder / DONE).read_text())
            return all(_checksum(folder / name) == checksum for name, checksum in sums.items())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False  # any other trouble with reading it is the disk's, and no reason to throw a run away

    def _discard(self, key: str) -> None:
        print(f"{self.folder(key)}: damaged; the run is made again", file=sys.stderr, flush=True)
        shutil.rmtree(self.folder(key), ignore_errors=True)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
