"""The rate falls by a factor every few epochs."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import StepLR

from reidflow.training.schedulers._schedule import PerEpoch, Schedule


def build(optimizer: Optimizer, steps_per_epoch: int, epochs: int, *, every: int = 10, factor: float = 0.1) -> Schedule:
    """Return the schedule that multiplies the rate by `factor` after each `every` epochs. Library: torch, StepLR."""
    return PerEpoch(StepLR(optimizer, step_size=every, gamma=factor))
