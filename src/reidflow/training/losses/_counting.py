"""The reducer of the losses that average over their non-zero terms: it also counts them."""

from typing import Any, NamedTuple

import torch
from pytorch_metric_learning.reducers import AvgNonZeroReducer
from torch import nn


class Terms(NamedTuple):
    """The terms (anchors, pairs, triplets) that a loss saw.

    active: the share of them above 0, which alone give a gradient; None where a loss counts none.
    hardness: the mean of those above 0, in the units of the loss: how hard the active terms are; None without any.
    """

    active: float | None
    hardness: float | None


class CountingReducer(AvgNonZeroReducer):
    """Mean over the terms above 0, as in pytorch-metric-learning; keeps how many terms there were, and those above 0.

    What it keeps stays tensors, so that counting waits for no device.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.terms = 0
        self.above: list[torch.Tensor] = []
        self.means: list[torch.Tensor] = []

    def element_reduction_helper(self, losses: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the mean of the `losses` (T,) above 0."""
        mean = super().element_reduction_helper(losses, embeddings)
        self.terms += losses.numel()
        self.above.append((losses.detach() > 0).sum())
        self.means.append(mean.detach())
        return mean


def take_terms(loss: nn.Module) -> Terms:
    """Return what the loss counted since the last call."""
    counters = [module for module in loss.modules() if isinstance(module, CountingReducer)]
    terms = sum(counter.terms for counter in counters)
    above = [count for counter in counters for count in counter.above]
    means = [mean.reshape(()) for counter in counters for mean in counter.means]
    for counter in counters:
        counter.terms, counter.above, counter.means = 0, [], []
    if not terms:
        return Terms(None, None)
    counts = torch.stack(above).double()
    count = counts.sum().item()
    total = (counts * torch.stack(means).double()).sum().item()
    return Terms(count / terms, total / count if count else None)
