"""Several half cosines, each starting again at the full rate."""

from torch.optim import Optimizer

from reidflow.training.schedulers._schedule import Schedule, by_step, half_cosine


def build(optimizer: Optimizer, steps_per_epoch: int, epochs: int, *, cycles: int = 3, floor: float = 0.0) -> Schedule:
    """Return `cycles` equally long cosines from the rate down to `floor` times it.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983 (SGDR, T_mult 1). Library: torch.
    """
    length = steps_per_epoch * epochs / cycles
    return by_step(optimizer, lambda step: half_cosine((step % length) / length, floor))
