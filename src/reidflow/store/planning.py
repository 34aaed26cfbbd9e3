"""What the main process looks at before jobs are planned and handed in: damaged results, graphics cards, the cluster."""

import os
import re
import subprocess
import sys
from pathlib import Path

from reidflow.spec.errors import ReidflowError
from reidflow.store import ledger

CARDS = "REIDFLOW_CARDS"
LEAST_MEMORY = 200  # seconds; the executor looks at SLURM's jobs every 180 at the longest
LOOKING = {"-n", "--dry-run", "--dryrun", "--lint", "--summary", "--report", "--dag", "--rulegraph", "--list-rules"}


def remove_damaged(results: Path) -> list[Path]:
    """Remove published files whose content changed since, so that they are made again; say which.

    A dry run only says it. Removing them is all it takes: Snakemake makes what is absent.
    """
    if looking():
        bad = ledger.damaged(results)
        _tell(bad, "a real run will make it again")
        return bad
    # A job that outlives its main process may be between publishing a file and noting it.
    with ledger.publishing(results):
        bad = ledger.damaged(results)
        for path in bad:
            path.unlink(missing_ok=True)
    _tell(bad, "it is made again")
    return bad


def _tell(bad: list[Path], action: str) -> None:
    for path in bad:
        print(f"{path}: changed or cut short since it was written; {action}", file=sys.stderr)


def looking() -> bool:
    """Return whether this command only looks at what is there, or would be."""
    return any(_option(a) in LOOKING or re.fullmatch(r"-[A-Za-z]*n[A-Za-z]*", a) for a in sys.argv[1:])


def reporting() -> bool:
    """Return whether this command only makes Snakemake's report of what is there: no job runs, nothing may change."""
    return any(_option(argument) == "--report" for argument in sys.argv[1:])


def _option(argument: str) -> str:
    return argument.split("=")[0]


def cards(device: str, cluster: bool, main: bool) -> int:
    """Return how many graphics cards a job that runs a network asks for: 1, or 0 on the CPU.

    device: `cpu`, `cuda`, or `auto`, as in the config; `auto` asks whether this machine has a card of NVIDIA's, or for
    a cluster, whose login machine may have none, whether SLURM has any to give. The main process looks and tells jobs.
    """
    if device != "auto":
        return int(device == "cuda")
    if main or CARDS not in os.environ:
        nodes = _slurm_cards() if cluster else None
        present = Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()
        os.environ[CARDS] = str(int(present if nodes is None else nodes))
    return int(os.environ[CARDS])


def _slurm_cards() -> bool | None:
    """Return whether any node of SLURM's has a card, None where SLURM does not answer."""
    told = _ask("whether the cluster has graphics cards", "sinfo", "--noheader", "--format=%G")
    return None if told is None else re.search(r"\bgpu\b", told) is not None


def require_memory_of_jobs(status_command: str | None) -> None:
    """Raise ReidflowError where SLURM forgets finished jobs before the executor asks after them: it would wait forever.

    status_command: what the executor asks with; only `squeue` depends on that memory.
    """
    if status_command != "squeue":
        return
    told = _ask("how long SLURM knows finished jobs", "scontrol", "show", "config")
    age = re.search(r"^MinJobAge\s*=\s*(\d+)", told or "", re.MULTILINE)
    if age and int(age[1]) < LEAST_MEMORY:
        raise ReidflowError(
            f"This SLURM forgets a finished job after {age[1]} seconds (MinJobAge in `scontrol show config`; "
            f"{LEAST_MEMORY} are needed), sooner than it is asked after: jobs would seem to run forever. "
            "Set `slurm-status-command: sacct` in the profile."
        )


def _ask(question: str, *command: str) -> str | None:
    """Return what a command of SLURM's prints, None (which is said) where it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        print(f"{command[0]} does not tell {question}: {error}", file=sys.stderr)
        return None
