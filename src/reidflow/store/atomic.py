"""Files that are either complete or absent."""

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reidflow.store.disk import refusal


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what is written there is synced and renamed over `path` unless an error came.

    The temporary name keeps the suffix, since some writers choose their format by it, and names the writing process, so
    that files left by a killed one are recognised. Where the disk refuses to be written, the OSError names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path
    try:
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".tmp-{_writer()}-", suffix=path.suffix)
        temporary = Path(name)
        os.close(fd)
        yield temporary
        sync(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except Exception as error:
        number = refusal(error)
        if number is None or not _about(error, temporary):
            raise
        raise OSError(number, os.strerror(number), str(path)) from error
    finally:
        if temporary != path:
            temporary.unlink(missing_ok=True)


def _writer() -> str:
    return f"{os.getpid()}@{os.uname().nodename}"


def _about(error: Exception, temporary: Path) -> bool:
    """Return whether an error raised while a temporary file was written may be about that file, not another one."""
    named = getattr(error, "filename2", None) or getattr(error, "filename", None)
    return not named or Path(os.fsdecode(named)).parent == temporary.parent


def remove_orphaned(folder: Path, *, skip: frozenset[str] = frozenset()) -> None:
    """Remove the temporary files below `folder` that killed processes of this machine left.

    skip: names of folders that are not entered.
    """
    mark = re.compile(rf"\.tmp-(\d+)@{re.escape(os.uname().nodename)}-")
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in skip]
        for name in files:
            found = mark.match(name)
            if found and not _alive(int(found[1])):
                Path(parent, name).unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def append_line(path: str | os.PathLike, line: str) -> None:
    """Append a line to the file `path`, completely or not at all, whoever else appends and whoever is killed."""
    data = line.encode() + b"\n"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        end = _whole(fd)
        os.ftruncate(fd, end)
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(fd, data[done:], end + done)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(fd, end)
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        os.close(fd)


def _whole(fd: int) -> int:
    """Return where the last complete line of a file ends, bytes."""
    end = os.fstat(fd).st_size
    while end:
        start = max(0, end - 4096)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def sync(path: str | os.PathLike) -> None:
    """Wait until the content of the file `path` has reached the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    write_bytes(path, text.encode())
