"""Stochastic gradient descent."""

from torch.optim import SGD, Optimizer


def build(
    groups: list[dict],
    *,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Return SGD over the parameter groups. Source: Sutskever et al. 2013, ICML. Library: torch."""
    return SGD(groups, lr=learning_rate, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, fused=True)
