"""The rate falls by the same factor every epoch."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ExponentialLR

from reidflow.training.schedulers._schedule import PerEpoch, Schedule


def build(optimizer: Optimizer, steps_per_epoch: int, epochs: int, *, factor: float = 0.9) -> Schedule:
    """Return the schedule that multiplies the rate by `factor` after each epoch. Library: torch, ExponentialLR."""
    return PerEpoch(ExponentialLR(optimizer, gamma=factor))
