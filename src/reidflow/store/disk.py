"""Explanations of disk errors: a full, read-only, forbidden or failing disk is reported without a traceback."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reidflow.spec.errors import ReidflowError

LEAST_FREE = 2**20  # bytes; Snakemake's own records of a run need some of them
KEPT = "Then run the same command again: finished training runs are kept and not repeated."
REFUSALS = {
    errno.ENOSPC: ("the data to be written do not fit on its disk{free}.", "Make room there."),
    errno.EDQUOT: ("the quota on its disk is used up.", "Make room there, or have the quota raised."),
    errno.EFBIG: ("the file would be larger than is allowed.", "Raise the limit (ulimit -f)."),
    errno.EROFS: (
        "cannot be written: its file system is read-only.",
        "Make it writable, or work in another folder (config and results are below it).",
    ),
    errno.EACCES: ("may not be read or written by this user.", "Correct its permissions or those of its folder."),
    errno.EPERM: ("may not be changed by this user.", "Correct its owner or its permissions."),
    errno.EIO: (
        "its disk reports an input/output error.",
        "Check the disk, or the connection to it: a damaged result is detected and rebuilt.",
    ),
}
# NumPy's message, which gives the numbers of bytes but not the reason.
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
# Python's message where no folder for temporary files can be written.
_NO_TEMPORARY = "No usable temporary directory"


def refusal(error: BaseException) -> int | None:
    """Return the `errno` of a disk error, None where the error is something else.

    Libraries that write files themselves pass on only the system's message, in exceptions of their own.
    """
    if isinstance(error, ReidflowError):
        return None
    if isinstance(error, OSError) and error.errno is not None and _NO_TEMPORARY not in str(error):
        return error.errno if error.errno in REFUSALS else None
    text = str(error)
    if isinstance(error, OSError) and (_SHORT_WRITE.search(text) or _NO_TEMPORARY in text):
        return errno.ENOSPC
    return next((number for number in REFUSALS if os.strerror(number) in text), None)


def explanation(error: BaseException, otherwise: Path) -> str | None:
    """Return what a disk error means and what to do about it; None where the error is something else.

    otherwise: the path to name where the error names no file.
    """
    number = refusal(error)
    if number is None:
        return None
    if _NO_TEMPORARY in str(error):
        return f"{error.strerror}. Make room there, or name another folder in TMPDIR. {KEPT}"
    names = [getattr(error, name, None) for name in ("filename2", "filename")]
    path = next((Path(os.fsdecode(name)) for name in names if isinstance(name, str | bytes)), otherwise)
    path = path.with_name(path.name.removeprefix(".tmp-")) if path.name else path
    what, remedy = REFUSALS[number]
    return f"{path}: {what.format(free=_free(path))} {remedy} {KEPT}"


@contextmanager
def explained(otherwise: str | os.PathLike = ".") -> Iterator[None]:
    """Turn a disk error into a ReidflowError that names the file (or `otherwise`) and the remedy."""
    try:
        yield
    except Exception as error:
        text = explanation(error, Path(otherwise))
        if text is None:
            raise
        raise ReidflowError(text) from error


def require_room(folder: Path) -> None:
    """Raise OSError where a folder (made if need be) cannot be written, or lacks room for the records of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno), str(folder)) from error
    room = os.statvfs(folder)
    # Some network drives do not report their size.
    if room.f_blocks and room.f_bavail * room.f_frsize < LEAST_FREE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _free(path: Path) -> str:
    try:
        return f", where {shutil.disk_usage(_existing(path)).free / 1e6:.1f} MB are free"
    except OSError:
        return ""


def _existing(path: Path) -> Path:
    """Return the deepest existing folder of `path`."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
