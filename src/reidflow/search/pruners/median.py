"""The median stopping rule. Golovin et al. 2017, Google Vizier: a service for black-box optimization. Library: optuna."""

from optuna.pruners import BasePruner, MedianPruner


def build(*, startup: int = 5, warmup: int = 0, interval: int = 1) -> BasePruner:
    """Return a pruner that stops a trial whose best mAP so far is below the median of the finished ones' at that epoch.

    startup: trials that train to their end first. warmup: epochs in which no trial is stopped. interval: epochs between
    two looks.
    """
    return MedianPruner(n_startup_trials=startup, n_warmup_steps=warmup, interval_steps=interval)
