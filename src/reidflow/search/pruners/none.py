"""Every trial trains to its end. Library: optuna."""

from optuna.pruners import BasePruner, NopPruner


def build() -> BasePruner:
    """Return a pruner that stops no trial."""
    return NopPruner()
