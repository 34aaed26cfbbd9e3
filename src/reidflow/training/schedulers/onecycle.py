"""One cycle: up to the full rate, then down far below the start."""

from torch.optim import Optimizer

from reidflow.training.schedulers._schedule import Schedule, by_step, half_cosine


def build(
    optimizer: Optimizer,
    steps_per_epoch: int,
    epochs: int,
    *,
    rise: float = 0.3,
    start: float = 0.04,
    end: float = 4e-6,
) -> Schedule:
    """Return half a cosine from `start` times the rate up to it during the first `rise` share, then down to `end` times.

    The curve is that of torch's OneCycleLR; momentum is left alone.
    Source: Smith & Topin 2018, arXiv:1708.07120. Library: torch.
    """
    total = steps_per_epoch * epochs
    top = rise * total

    def factor(step: int) -> float:
        if step < top:
            return half_cosine(1 - step / top, start)
        return half_cosine((step - top) / (total - top), end) if total > top else 1.0

    return by_step(optimizer, factor)
