"""The same rate throughout, after an optional warm-up."""

from torch.optim import Optimizer

from reidflow.training.schedulers._schedule import Schedule, by_step


def build(optimizer: Optimizer, steps_per_epoch: int, epochs: int, *, warmup: float = 0.0) -> Schedule:
    """Return a constant rate; during the first `warmup` share of all steps it rises linearly. Library: torch."""
    rise = round(warmup * steps_per_epoch * epochs)
    return by_step(optimizer, lambda step: min(1.0, (step + 1) / (rise + 1)))
