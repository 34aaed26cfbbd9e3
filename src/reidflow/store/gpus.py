"""GPUs: how many a job requests, and which one it gets.

Snakemake counts GPUs but assigns none, so the jobs of one machine lease them by file locks.
"""

import fcntl
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from reidflow.spec.errors import ReidflowError
from reidflow.store import activity
from reidflow.store.invocation import query_slurm

GPUS = "REIDFLOW_GPUS"
FOLDER = "REIDFLOW_GPU_LOCKS"
"""Environment variable that names the folder of the locks, for machines on which jobs do not share /tmp."""
SHARED = Path("/tmp")
"""Not TMPDIR, which schedulers set to a new folder for each job."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
ASSIGNED = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
WAITING = "a GPU"


def requested_gpus(device: str, cluster: bool, main: bool) -> int:
    """Return how many GPUs a job that runs a network requests: 1, or 0 on the CPU.

    device: `cpu`, `cuda` or `auto`, as in the config. With `auto` the main process looks for an NVIDIA GPU in this
    machine or, for a cluster, whose login machine may have none, in SLURM's nodes; its jobs inherit the answer.
    """
    if device != "auto":
        return int(device == "cuda")
    if main or GPUS not in os.environ:
        nodes = query_slurm("sinfo", "--noheader", "--format=%G") if cluster else None
        local = Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()
        os.environ[GPUS] = str(int(local if nodes is None else bool(re.search(r"\bgpu\b", nodes))))
    return int(os.environ[GPUS])


def without_gpu() -> bool:
    """Return whether this is a SLURM job that was assigned no GPU."""
    return "SLURM_JOB_ID" in os.environ and not any(os.environ.get(name) for name in (VISIBLE, *ASSIGNED))


def hide_unassigned() -> None:
    """Hide all GPUs from a SLURM job that was assigned none: not every cluster hides those of other jobs."""
    if without_gpu():
        os.environ[VISIBLE] = ""


def lease(gpus: Sequence[str], folder: Path | None = None, poll_seconds: float = 1.0) -> tuple[str, int]:
    """Return a GPU that no other job of this machine holds, and the descriptor that holds it; wait for one if need be.

    gpus: names that are the same for every job of the machine (`gpu_names`). The lease ends with the process, or when
    the descriptor is closed. Raises ReidflowError where the folder of locks cannot be used.
    """
    folder = folder or lock_folder()
    held = _free(gpus, folder)
    if held is None:
        holders = ", ".join(f"{gpu} ({_holder(folder, gpu)})" for gpu in gpus)
        print(f"waiting for one of the GPUs {holders}", file=sys.stderr, flush=True)
        with activity.waiting(WAITING):
            while (held := _free(gpus, folder)) is None:
                time.sleep(poll_seconds)
    return held


def gpu_names(uuids: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return names of the visible GPUs, in order: their UUIDs, else what CUDA_VISIBLE_DEVICES or SLURM calls them.

    uuids: as the driver reports them, empty where it does not. An index within what this job sees is the last resort.
    """
    if all(uuids) and len(set(uuids)) == len(uuids):
        return [f"GPU-{uuid.removeprefix('GPU-')}" for uuid in uuids]
    for names in (_assigned(environment), _listed(environment, VISIBLE)):
        if len(names) == len(uuids):
            return names
    return [str(index) for index in range(len(uuids))]


def allowed_gpus(count: int, environment: Mapping[str, str]) -> list[int]:
    """Return the indices of the visible GPUs that a job may take: those that SLURM assigned, where it sees all."""
    assigned = _assigned(environment)
    indices = [int(name) for name in assigned if name.isdigit() and int(name) < count]
    sees_all = not environment.get(VISIBLE) and len(assigned) < count
    return indices if indices and sees_all else list(range(count))


def lock_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of this user's locks on this machine, made if need be.

    Raises ReidflowError for a folder that another user made: its owner could give one GPU to two jobs.
    """
    if environment.get(FOLDER):
        folder = Path(environment[FOLDER])
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    base = SHARED if os.access(SHARED, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    return _own(base / f"reidflow-gpus-{os.getuid()}")


def _own(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise ReidflowError(
            f"{folder}: cannot be made ({error.strerror}), so jobs cannot lease GPUs. "
            f"Set {FOLDER} to a folder that all jobs of this machine share."
        ) from error
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ReidflowError(
            f"{folder}: is not a folder that only you can write to; another user may have made it. GPU leases are kept "
            f"there. Have it removed, or set {FOLDER} to another folder that all your jobs on this machine share."
        )
    return folder


def _assigned(environment: Mapping[str, str]) -> list[str]:
    """Return the GPUs that SLURM assigned to this step or job, by SLURM's names."""
    return next(filter(None, (_listed(environment, variable) for variable in ASSIGNED)), [])


def _listed(environment: Mapping[str, str], variable: str) -> list[str]:
    return [name.strip() for name in environment.get(variable, "").split(",") if name.strip()]


def _free(gpus: Sequence[str], folder: Path) -> tuple[str, int] | None:
    for gpu in gpus:
        descriptor = _take(_path(folder, gpu))
        if descriptor is not None:
            return gpu, descriptor
    return None


def _take(path: Path) -> int | None:
    """Return the descriptor that holds a lock; None where another process does."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A cleaner of /tmp may have removed the file meanwhile: the next job would lock another one.
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
        # In a folder that users share, the file belongs to the first who leased the GPU. Reading is enough to lock.
        return os.open(path, flags | os.O_RDONLY)


def _sign(descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
    except OSError:
        return


def _holder(folder: Path, gpu: str) -> str:
    try:
        return _path(folder, gpu).read_text(errors="replace")[:100] or "taken"
    except OSError:
        return "taken"


def _path(folder: Path, gpu: str) -> Path:
    return folder / f"{gpu.replace('/', '_')}.lock"
