"""Checkpoints: whole or absent, verified when read, loaded without pickle."""

import hashlib
import io
import sys
import time
from pathlib import Path
from typing import Any

import torch

from reidflow.store.atomic import write_bytes

NAME = "checkpoint.pt"
_SUM = 32


class Checkpoints:
    """The checkpoint of the run `key` in the folder `work`.

    It is written at most every `seconds`, and less often where writing takes long, so that it costs at most 5 %;
    with 0 seconds after every epoch.
    """

    def __init__(self, work: Path, key: str, seconds: float) -> None:
        self.path, self.key, self.seconds = work / NAME, key, seconds
        self.last, self.cost = time.monotonic(), 0.0

    def due(self) -> bool:
        """Return whether it is time to write one."""
        return not self.seconds or time.monotonic() - self.last >= max(self.seconds, 20 * self.cost)

    def write(self, state: dict[str, Any]) -> None:
        """Write `state` (tensors, numbers, texts, lists, dicts) with the key and a checksum in front."""
        start = time.monotonic()
        buffer = io.BytesIO()
        torch.save({"key": self.key, "state": state}, buffer)
        data = buffer.getbuffer()
        write_bytes(self.path, hashlib.sha256(data).digest() + data)
        self.last = time.monotonic()
        self.cost = self.last - start

    def read(self, device: str) -> dict[str, Any] | None:
        """Return the state on `device`, or None where there is none of this run; a damaged one is named and left alone."""
        if not self.path.is_file():
            return None
        data = self.path.read_bytes()
        if hashlib.sha256(data[_SUM:]).digest() != data[:_SUM]:
            return self._ignore("it is damaged")
        try:
            content = torch.load(io.BytesIO(data[_SUM:]), map_location=device, weights_only=True)
        except Exception as error:  # whatever an unreadable file makes torch raise, training goes on without it
            return self._ignore(f"it cannot be read ({type(error).__name__})")
        if content["key"] != self.key:
            return self._ignore("it belongs to a run with other settings, code, data, torch or device")
        return content["state"]

    def _ignore(self, reason: str) -> None:
        print(f"{self.path}: {reason}; training starts at epoch 0", file=sys.stderr, flush=True)
