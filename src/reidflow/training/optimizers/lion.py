"""Lion: the sign of an interpolated momentum."""

from torch.optim import Optimizer


def build(
    groups: list[dict],
    *,
    learning_rate: float = 1e-4,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Return Lion over the parameter groups. Source: Chen et al. 2023, arXiv:2302.06675. Library: timm."""
    from timm.optim import Lion

    return Lion(groups, lr=learning_rate, betas=(beta1, beta2), weight_decay=weight_decay)
