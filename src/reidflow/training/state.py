"""What a training carries from one epoch to the next, apart from weights."""

from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor


@dataclass
class State:
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
        """Return whether a loss was not finite, or the last epoch's lies above the loss before the first step."""
        losses = [row["loss"] for row in self.history if row["loss"] is not None]
        return self.broken or bool(losses and self.first_loss is not None and losses[-1] > self.first_loss)
