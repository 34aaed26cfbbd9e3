"""The interface of a schedule: called after every optimizer step, and after every epoch with its metric."""

import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau


class Schedule:
    """Does nothing by itself; a schedule overrides `after_step`, `after_epoch`, or both."""

    needs_metric = False

    def __init__(self, inner: LRScheduler | ReduceLROnPlateau) -> None:
        self.inner = inner

    def after_step(self) -> None:
        """Note one optimizer step."""

    def after_epoch(self, metric: float | None) -> None:
        """Note the end of an epoch with its validation mAP, or None where there is no validation."""

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on from here (the rates themselves are in the optimizer)."""
        return self.inner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.inner.load_state_dict(state)


class PerStep(Schedule):
    """A torch scheduler that counts optimizer steps."""

    def after_step(self) -> None:
        """Move the rate on by one step."""
        self.inner.step()


class PerEpoch(Schedule):
    """A torch scheduler that counts epochs."""

    def after_epoch(self, metric: float | None) -> None:
        """Move the rate on by one epoch."""
        self.inner.step()


class ByMetric(Schedule):
    """A torch scheduler that follows the validation mAP."""

    needs_metric = True

    def after_epoch(self, metric: float | None) -> None:
        """Let the metric decide about the rate."""
        self.inner.step(metric)


def half_cosine(share: float, floor: float) -> float:
    """Return the factor of the rate when `share` (0 to 1) of a cosine from 1 down to `floor` has passed."""
    return floor + (1 - floor) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def by_step(optimizer: Optimizer, factor: Callable[[int], float]) -> PerStep:
    """Return the schedule whose rate before optimizer step n (from 0) is `factor(n)` times the initial one."""
    return PerStep(LambdaLR(optimizer, factor))
