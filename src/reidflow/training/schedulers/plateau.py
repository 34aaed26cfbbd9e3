"""The rate falls when the validation mAP no longer rises."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from reidflow.training.schedulers._schedule import ByMetric, Schedule


def build(
    optimizer: Optimizer,
    steps_per_epoch: int,
    epochs: int,
    *,
    factor: float = 0.5,
    patience: int = 5,
    threshold: float = 1e-4,
) -> Schedule:
    """Return the schedule that multiplies the rate by `factor` after more than `patience` epochs without a better mAP.

    Better means above the best so far by more than `threshold`. Library: torch, ReduceLROnPlateau.
    """
    return ByMetric(
        ReduceLROnPlateau(
            optimizer, mode="max", factor=factor, patience=patience, threshold=threshold, threshold_mode="abs"
        )
    )
