"""NAdam: Adam with Nesterov momentum."""

from torch.optim import NAdam, Optimizer


def build(
    groups: list[dict],
    *,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = True,
) -> Optimizer:
    """Return NAdam over the parameter groups; `decoupled` weight decay as in AdamW, else L2.

    Source: Dozat 2016, ICLR workshop. Library: torch.
    """
    return NAdam(
        groups,
        lr=learning_rate,
        betas=(beta1, beta2),
        eps=epsilon,
        weight_decay=weight_decay,
        decoupled_weight_decay=decoupled,
    )
