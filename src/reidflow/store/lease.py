"""Device leases: Snakemake counts graphics cards but hands none out, so that jobs on one machine agree by file locks."""

import fcntl
import os
import stat
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from reidflow.spec.errors import ReidflowError
from reidflow.store import activity

FOLDER = "REIDFLOW_LEASES"
"""Environment variable that names the folder of the locks, for machines on which jobs do not share /tmp."""
SHARED = Path("/tmp")
"""Not below TMPDIR, which schedulers give each job anew."""
ASSIGNED = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
PARTS = ("SLURM_SHARDS_ON_NODE", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE")


def lease(devices: Sequence[str], folder: Path | None = None, poll_seconds: float = 1.0) -> tuple[str, int]:
    """Return a device that no other job of this machine holds, and the descriptor that holds it; wait for one if need be.

    devices: names that are the same for every job of the machine (`card_names`). The lease ends with the process, or
    when the descriptor is closed: a dead holder's card is free at once. Raises ReidflowError where locks cannot be kept.
    """
    folder = folder or lock_folder()
    held = _free(devices, folder)
    if held is None:
        holders = ", ".join(f"{device} ({_holder(folder, device)})" for device in devices)
        print(f"waiting for one of the cards {holders}", file=sys.stderr, flush=True)
        with activity.waiting("a graphics card"):
            while (held := _free(devices, folder)) is None:
                time.sleep(poll_seconds)
    return held


def card_names(uuids: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return names of the visible cards, in order, that are the same for every job of the machine.

    uuids: what the driver says of each, empty where it says nothing. An index is the last resort: which card it means
    depends on what else a job sees.
    """
    chosen = [name.strip() for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    # All parts of a divided card may have the UUID of the whole.
    if len(chosen) == len(uuids) and all(name.startswith("MIG-") for name in chosen):
        return chosen
    if all(uuids) and len(set(uuids)) == len(uuids):
        return [f"GPU-{uuid.removeprefix('GPU-')}" for uuid in uuids]
    scheduled = _assigned(environment)
    for names in (scheduled, chosen):
        if len(names) == len(uuids):
            return names
    return [str(index) for index in range(len(uuids))]


def allowed_cards(count: int, environment: Mapping[str, str]) -> list[int]:
    """Return which of the visible cards a job may take: those that SLURM assigned to it where it sees others, too."""
    assigned = _assigned(environment)
    numbers = [int(name) for name in assigned if name.isdigit() and int(name) < count]
    seen_whole = not environment.get("CUDA_VISIBLE_DEVICES") and len(assigned) < count
    return numbers if numbers and seen_whole else list(range(count))


def shared_on_purpose(environment: Mapping[str, str]) -> bool:
    """Return whether a scheduler has put several jobs on one card: then none of them has it for itself."""
    return any(environment.get(name) for name in PARTS)


def lock_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of this user's locks on this machine, made if need be.

    Raises ReidflowError for a folder that somebody else made: who owns it could hand one card to two jobs.
    """
    if environment.get(FOLDER):
        folder = Path(environment[FOLDER])
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    base = SHARED if os.access(SHARED, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    return _own(base / f"reidflow-cards-{os.getuid()}")


def _own(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise ReidflowError(
            f"{folder}: cannot be made ({error.strerror}), so jobs cannot agree on graphics cards. "
            f"Let {FOLDER} name a folder that all jobs of this machine share."
        ) from error
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ReidflowError(
            f"{folder}: is not a folder that you alone can write to; perhaps somebody else made it. Jobs agree on graphics "
            f"cards there. Have it removed, or let {FOLDER} name another folder that all your jobs on this machine share."
        )
    return folder


def _assigned(environment: Mapping[str, str]) -> list[str]:
    """Return the cards that SLURM assigned to this step or job, as it names them."""
    for variable in ASSIGNED:
        names = [name.strip() for name in environment.get(variable, "").split(",") if name.strip()]
        if names:
            return names
    return []


def _free(devices: Sequence[str], folder: Path) -> tuple[str, int] | None:
    for device in devices:
        descriptor = _take(_path(folder, device))
        if descriptor is not None:
            return device, descriptor
    return None


def _take(path: Path) -> int | None:
    """Return the descriptor that holds a lock; none where another process does."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # What cleans /tmp may have removed the file meanwhile: the next job would lock another one.
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            _sign(descriptor)
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _open(path: Path) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o644)
    except PermissionError:
        # In a folder that users share, the file is that of the first who leased the card. Reading is enough to lock.
        return os.open(path, flags | os.O_RDONLY)


def _sign(descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
    except OSError:
        return


def _holder(folder: Path, device: str) -> str:
    try:
        return _path(folder, device).read_text(errors="replace")[:100] or "taken"
    except OSError:
        return "taken"


def _path(folder: Path, device: str) -> Path:
    return folder / f"{device.replace('/', '_')}.lock"
