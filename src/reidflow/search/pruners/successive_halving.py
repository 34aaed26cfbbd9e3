"""Asynchronous successive halving. Li et al. 2020, A system for massively parallel hyperparameter tuning. Library: optuna."""

from optuna.pruners import BasePruner, SuccessiveHalvingPruner


def build(*, first: int = 1, factor: int = 4, skipped: int = 0) -> BasePruner:
    """Return a pruner that lets one trial in `factor` past each rung: epochs `first`, `first` x `factor`, and so on.

    skipped: rungs left out at the start (the minimum early-stopping rate).
    """
    return SuccessiveHalvingPruner(min_resource=first, reduction_factor=factor, min_early_stopping_rate=skipped)
