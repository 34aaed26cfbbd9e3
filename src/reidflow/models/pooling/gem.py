"""Generalised mean pooling (Radenovic, Tolias, Chum: Fine-tuning CNN image retrieval, TPAMI 2019)."""

import torch
from torch import nn

from reidflow.models.backbones._backbone import Backbone
from reidflow.models.pooling._tokens import positions
from reidflow.spec.errors import ReidflowError

SMALLEST = 1e-6


class GeneralisedMean(nn.Module):
    """Features (B, C, H, W) or (B, T, C) -> (B, C): the p-th root of the mean p-th power, negatives as zero."""

    def __init__(self, prefix: int, p: float, learned: bool) -> None:
        super().__init__()
        self.prefix = prefix
        self.learned = learned
        self.p = nn.Parameter(torch.tensor(p), requires_grad=learned)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (B, C)."""
        with torch.autocast(features.device.type, enabled=False):
            powers = positions(features, self.prefix).float().clamp(min=SMALLEST).pow(self.p)
            return powers.mean(-1).pow(1 / self.p)


def build(backbone: Backbone, *, p: float = 3.0, learned: bool = False) -> nn.Module:
    """Return generalised mean pooling; p = 1 is the average of the positive part, a large p approaches the maximum.

    learned: train p with the network, from the given value (not with a frozen backbone).
    Raises ReidflowError unless p > 0.
    """
    if p <= 0:
        raise ReidflowError(f"pooling 'gem' needs p greater than 0, not {p}. The usual value is 3.")
    return GeneralisedMean(backbone.prefix, p, learned)
