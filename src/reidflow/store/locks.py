"""Locks that the kernel drops when their holder dies."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reidflow.spec.errors import ReidflowError


@contextmanager
def locked(path: str | os.PathLike) -> Iterator[None]:
    """Hold the lock file `path`, waiting for another holder; says on standard error whom it waits for."""
    with _opened(Path(path)) as fd:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 200, 0).decode(errors="replace")
            print(f"waiting for {path}, held by {holder}", file=sys.stderr, flush=True)
            fcntl.flock(fd, fcntl.LOCK_EX)
        _sign(fd)
        yield


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` where nobody else does, without waiting; gives whether it is held here."""
    with _opened(path) as fd:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for its holder: of something that takes no time worth a word in a log."""
    with _opened(path) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield


def hold(path: str | os.PathLike) -> int:
    """Take the lock file `path` for the life of this process and return its descriptor.

    Raises ReidflowError naming the holder when another process has it.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(fd, 200, 0).decode(errors="replace")
        os.close(fd)
        raise ReidflowError(
            f"{Path(path).parent}: another run of the pipeline is active here ({holder}). Wait for it, or stop it."
        ) from error
    _sign(fd)
    return fd


def _sign(fd: int) -> None:
    # The name is a courtesy: a full disk must not keep anybody from a lock.
    with suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield fd
    finally:
        os.close(fd)
