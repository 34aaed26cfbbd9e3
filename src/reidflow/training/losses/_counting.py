"""The reducer of the losses that average over their non-zero terms: it also counts them."""

from typing import Any

import torch
from pytorch_metric_learning.reducers import AvgNonZeroReducer
from torch import nn


class CountingReducer(AvgNonZeroReducer):
    """Mean over the terms above 0, as in pytorch-metric-learning; keeps how many terms there were, and how many above 0.

    The counts stay tensors, so that counting waits for no device.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.terms = 0
        self.above: list[torch.Tensor] = []

    def element_reduction_helper(self, losses: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the mean of the `losses` (T,) above 0."""
        self.terms += losses.numel()
        self.above.append((losses.detach() > 0).sum())
        return super().element_reduction_helper(losses, embeddings)


def take_active_share(loss: nn.Module) -> float | None:
    """Return the share of terms (anchors, pairs, triplets) above 0 since the last call; None where a loss counts none."""
    counters = [module for module in loss.modules() if isinstance(module, CountingReducer)]
    terms = sum(counter.terms for counter in counters)
    above = [count for counter in counters for count in counter.above]
    for counter in counters:
        counter.terms, counter.above = 0, []
    return torch.stack(above).sum().item() / terms if terms else None
