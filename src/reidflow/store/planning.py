"""What the main process looks at before the jobs are planned: damaged results, graphics cards."""

import re
import sys
from pathlib import Path

from reidflow.store import ledger

LOOKING = {"-n", "--dry-run", "--dryrun", "--lint", "--summary", "--report", "--dag", "--rulegraph", "--list-rules"}


def remove_damaged(results: Path) -> list[Path]:
    """Remove published files whose content changed since, so that they are made again; say which.

    A dry run only says it. Removing them is all it takes: Snakemake makes what is absent.
    """
    bad = ledger.damaged(results)
    looking = any(a in LOOKING or re.fullmatch(r"-[A-Za-z]*n[A-Za-z]*", a) for a in sys.argv[1:])
    for path in bad:
        action = "a real run will make it again" if looking else "it is made again"
        print(f"{path}: changed or cut short since it was written; {action}", file=sys.stderr)
        if not looking:
            path.unlink(missing_ok=True)
    return bad


def cards(device: str) -> int:
    """Return how many graphics cards a job that runs a network asks for: 1, or 0 on the CPU.

    device: `cpu`, `cuda`, or `auto` (whether this machine has a card of NVIDIA's), as in the config.
    """
    present = Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()
    return int(device == "cuda" or (device == "auto" and present))
