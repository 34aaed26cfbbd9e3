"""Checkpoints: complete or absent, verified when read, loaded without pickle."""

import hashlib
import io
import sys
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

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


def trained_state(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return the trainable parameters and the buffers of the parts that train, by name; not copied.

    What is left out is what a fresh build brings along (pretrained, frozen weights). A part without parameters belongs
    to the part that contains it.
    """
    state: dict[str, torch.Tensor] = {}
    _collect(module, "", True, state)
    return state


def _collect(module: nn.Module, prefix: str, inherited: bool, state: dict[str, torch.Tensor]) -> None:
    parameters = list(module.parameters())
    trains = any(p.requires_grad for p in parameters) if parameters else inherited
    if not trains:
        return
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.requires_grad:
            state[prefix + name] = parameter.detach()
    for name, buffer in module.named_buffers(recurse=False):
        state[prefix + name] = buffer
    for name, child in module.named_children():
        _collect(child, f"{prefix}{name}.", trains, state)


def copy_state(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of `trained_state(module)`."""
    return {name: tensor.clone() for name, tensor in trained_state(module).items()}


def load_state(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Put a state that `copy_state` returned back into `module`, in place. Raises KeyError for another module's."""
    own = trained_state(module)
    if own.keys() != state.keys():
        raise KeyError(f"another network's state: {sorted(own.keys() ^ state.keys())}")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])


@dataclass
class TrainingState:
    """The course of a training; `plain()` is part of the checkpoint.

    `kept`: the weights that the run will keep (best epoch, or last finite one), `kept_epoch` the epoch they are from.
    `first_loss`: the loss of the very first batch, before any step. `stale`: epochs since the best one.
    `images`: how many images were trained on, by their side in pixels (0 for features).
    """

    epoch: int = 0
    steps: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[str, Tensor] = field(default_factory=dict)
    kept_epoch: int = 0
    best: float | None = None
    best_epoch: int = 0
    stale: int = 0
    first_loss: float | None = None
    broken: bool = False
    seconds: float = 0.0
    seconds_steps: float = 0.0
    images: dict[int, int] = field(default_factory=dict)

    def count(self, images: int, size: int | None) -> None:
        """Note that as many images of this size were trained on; None: features."""
        self.images[size or 0] = self.images.get(size or 0, 0) + images

    def plain(self) -> dict[str, Any]:
        """Return the state as a dict, tensors not copied."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def diverged(self) -> bool:
        """Return whether a loss was not finite, or the last epoch's is above the loss before the first step."""
        losses = [row["loss"] for row in self.history if row["loss"] is not None]
        return self.broken or bool(losses and self.first_loss is not None and losses[-1] > self.first_loss)
