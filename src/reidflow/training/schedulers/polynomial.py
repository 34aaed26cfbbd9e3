"""The rate falls to zero as a power of the share of steps that is left."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import PolynomialLR

from reidflow.training.schedulers._schedule import PerStep, Schedule


def build(optimizer: Optimizer, steps_per_epoch: int, epochs: int, *, power: float = 0.9) -> Schedule:
    """Return the schedule rate x (1 - step / all steps) ** `power`. Library: torch, PolynomialLR."""
    return PerStep(PolynomialLR(optimizer, total_iters=steps_per_epoch * epochs, power=power))
