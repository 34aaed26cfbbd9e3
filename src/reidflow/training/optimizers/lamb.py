"""LAMB: Adam's step scaled layer by layer to the norm of the weights."""

from torch.optim import Optimizer


def build(
    groups: list[dict],
    *,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-6,
    weight_decay: float = 0.01,
    largest_gradient: float | None = None,
) -> Optimizer:
    """Return LAMB over the parameter groups; `largest_gradient` clips the norm of all gradients before the step.

    Clipping is off by default, since a run has a clip of its own. Source: You et al. 2020, arXiv:1904.00962.
    Library: timm.
    """
    from timm.optim import Lamb

    return Lamb(
        groups,
        lr=learning_rate,
        betas=(beta1, beta2),
        eps=epsilon,
        weight_decay=weight_decay,
        max_grad_norm=largest_gradient,
        always_adapt=True,  # else timm makes plain Adam of it where there is no weight decay
    )
