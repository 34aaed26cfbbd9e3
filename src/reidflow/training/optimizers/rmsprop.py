"""RMSprop: steps scaled by a running mean of the squared gradient."""

from torch.optim import Optimizer, RMSprop


def build(
    groups: list[dict],
    *,
    learning_rate: float = 1e-3,
    decay: float = 0.99,
    momentum: float = 0.0,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Return RMSprop over the parameter groups; `decay` is that of the mean square (torch's alpha).

    Source: Tieleman & Hinton 2012, Coursera lecture 6.5. Library: torch.
    """
    return RMSprop(groups, lr=learning_rate, alpha=decay, momentum=momentum, eps=epsilon, weight_decay=weight_decay)
