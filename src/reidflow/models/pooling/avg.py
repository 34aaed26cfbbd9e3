"""The average over all positions of the map."""

import torch
from torch import nn

from reidflow.models.backbones._backbone import Backbone
from reidflow.models.pooling._tokens import positions


class Average(nn.Module):
    """Features (B, C, H, W) or (B, T, C) -> (B, C)."""

    def __init__(self, prefix: int) -> None:
        super().__init__()
        self.prefix = prefix

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (B, C)."""
        return positions(features, self.prefix).mean(-1)


def build(backbone: Backbone) -> nn.Module:
    """Return the average over the map or over the patch tokens (class and register tokens left out)."""
    return Average(backbone.prefix)
