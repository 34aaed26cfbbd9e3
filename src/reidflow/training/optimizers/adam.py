"""Adam: steps scaled by running means of the gradient and of its square."""

from torch.optim import Adam, Optimizer


def build(
    groups: list[dict],
    *,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Return Adam over the parameter groups; weight decay is part of the gradient (L2).

    Source: Kingma & Ba 2015, arXiv:1412.6980. Library: torch.
    """
    return Adam(groups, lr=learning_rate, betas=(beta1, beta2), eps=epsilon, weight_decay=weight_decay, fused=True)
