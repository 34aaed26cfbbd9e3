"""The progress file that a person can watch: one JSON line an epoch."""

import json
import math
import time
from pathlib import Path

from reidflow.store.atomic import append_line


class Progress:
    """Appends to `work/progress.jsonl`: epoch, of, loss, val (identity-balanced mAP), seconds_left.

    done: epochs that a former process has finished; going on from there is said in the job's log.
    """

    def __init__(self, work: Path, epochs: int, done: int) -> None:
        self.path, self.epochs = work / "progress.jsonl", epochs
        self.first, self.start = done, time.monotonic()
        if done:
            print(f"{work.name}: resuming after epoch {done} of {epochs}", flush=True)

    def note(self, epoch: int, loss: float | None, val: float | None) -> None:
        """Append the line of `epoch`; the time left is that of the epochs of this process, carried forward."""
        spent, passed = time.monotonic() - self.start, epoch - self.first
        left = round(spent / passed * (self.epochs - epoch), 1) if passed else None
        line = {"epoch": epoch, "of": self.epochs, "loss": _number(loss), "val": _number(val), "seconds_left": left}
        append_line(self.path, json.dumps(line))


def _number(value: float | None) -> float | None:
    return round(value, 6) if value is not None and math.isfinite(value) else None
