"""Device leases: Snakemake counts graphics cards but hands none out, so that jobs on one machine agree by file locks."""

import os
import sys
import tempfile
import time
from pathlib import Path

from reidflow.spec.errors import ReidflowError
from reidflow.store.locks import hold


def lease(devices: list[str], folder: Path | None = None, poll_seconds: float = 1.0) -> tuple[str, int]:
    """Return a device that no other job of this machine holds, and the descriptor that holds it; wait for one if need be.

    devices: names that are the same for every job of the machine (indices or UUIDs of cards). The lease ends with the
    process, or when the descriptor is closed: a dead holder's card is free at once.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"reidflow-cards-{os.getuid()}"
    told = False
    while True:
        for device in devices:
            try:
                return device, hold(folder / f"{device}.lock")
            except ReidflowError:
                continue
        if not told:
            print(f"waiting for one of the cards {', '.join(devices)}", file=sys.stderr, flush=True)
            told = True
        time.sleep(poll_seconds)


def visible(count: int) -> list[str]:
    """Return the machine-wide names of the `count` cards that this process sees, in the order in which it sees them."""
    chosen = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return chosen if len(chosen) == count else [str(index) for index in range(count)]
