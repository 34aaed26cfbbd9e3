"""The journal of a study, as optuna keeps it, in a file that a killed process leaves usable."""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from reidflow.spec.errors import ReidflowError


class JournalLock:
    """The lock of the journal `path`, dropped by the kernel when its holder dies; who gets it finds whole lines.

    Optuna's own locks outlive their holder, and its journal cannot be read on once a line is torn.
    """

    def __init__(self, path: Path) -> None:
        self._journal, self._held = path, -1

    def acquire(self) -> bool:
        """Wait for the lock, then cut off what a killed process left of a line."""
        held = os.open(self._journal.with_name("journal.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            _mend(self._journal)
        except BaseException:
            os.close(held)
            raise
        self._held = held
        return True

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._held)


class Journal(JournalFileBackend):
    """A journal that is read while nobody writes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._reading = path, JournalLock(path)
        super().__init__(str(path), lock_obj=JournalLock(path))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the entries from this number on. Raises ReidflowError where one is damaged."""
        self._reading.acquire()
        try:
            return iter(list(super().read_logs(log_number_from)))
        except (json.JSONDecodeError, ValueError) as error:
            raise ReidflowError(
                f"{self._path}: damaged ({error}). Delete the folder {self._path.parent} and run again: the trials come "
                "back from the stored runs, nothing is trained twice."
            ) from error
        finally:
            self._reading.release()


def storage(path: Path) -> JournalStorage:
    """Return the storage whose journal is the file `path`."""
    return JournalStorage(Journal(path))


def _mend(path: Path) -> None:
    with path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end and _before(file, end) != b"\n":
            end -= 1
        if end < size:
            file.truncate(end)


def _before(file: Any, place: int) -> bytes:
    file.seek(place - 1)
    return file.read(1)
