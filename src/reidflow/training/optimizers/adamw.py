"""AdamW: Adam with decoupled weight decay."""

from torch.optim import AdamW, Optimizer


def build(
    groups: list[dict],
    *,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.01,
) -> Optimizer:
    """Return AdamW over the parameter groups. Source: Loshchilov & Hutter 2019, arXiv:1711.05101. Library: torch."""
    return AdamW(groups, lr=learning_rate, betas=(beta1, beta2), eps=epsilon, weight_decay=weight_decay, fused=True)
