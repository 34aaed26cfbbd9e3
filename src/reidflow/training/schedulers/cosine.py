"""Half a cosine from the full rate down, after an optional warm-up."""

from torch.optim import Optimizer

from reidflow.training.schedulers._schedule import Schedule, by_step, half_cosine


def build(
    optimizer: Optimizer, steps_per_epoch: int, epochs: int, *, warmup: float = 0.0, floor: float = 0.0
) -> Schedule:
    """Return a cosine down to `floor` times the rate, after a linear rise over the first `warmup` share of all steps.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983; warm-up: Goyal et al. 2017, arXiv:1706.02677. Library: torch.
    """
    total = steps_per_epoch * epochs
    rise = round(warmup * total)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return half_cosine((step - rise) / max(1, total - rise), floor)

    return by_step(optimizer, factor)
