"""File locks that the kernel releases when their holder dies."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reidflow.spec.errors import ReidflowError


@contextmanager
def locked(path: str | os.PathLike, quiet: bool = False) -> Iterator[None]:
    """Hold the lock file `path`, waiting for another holder.

    quiet: do not say on standard error who holds it, where waiting takes no noticeable time.
    """
    with _opened(Path(path)) as descriptor:
        if not _try(descriptor):
            if not quiet:
                print(f"waiting for {path}, held by {_holder(descriptor)}", file=sys.stderr, flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not quiet:
            _sign(descriptor)
        yield


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` unless another process does, without waiting; yield whether it is held here."""
    with _opened(path) as descriptor:
        yield _try(descriptor)


def hold(path: str | os.PathLike) -> int:
    """Take the lock file `path` for the life of this process and return its descriptor.

    Raises ReidflowError naming the holder when another process has it.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    if not _try(descriptor):
        holder = _holder(descriptor)
        os.close(descriptor)
        raise ReidflowError(
            f"{Path(path).parent}: another run of the pipeline is active here ({holder}). Wait for it, or stop it."
        )
    _sign(descriptor)
    return descriptor


def is_held(path: Path) -> bool:
    """Return whether a process, on whatever machine, holds this lock file. It is neither made nor written."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace")


def _sign(descriptor: int) -> None:
    # The name is a courtesy: a full disk must not keep anybody from a lock.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
