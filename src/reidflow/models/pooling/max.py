"""The largest value over all positions of the map."""

import torch
from torch import nn

from reidflow.models.backbones._backbone import Backbone
from reidflow.models.pooling._tokens import positions


class Maximum(nn.Module):
    """Features (B, C, H, W) or (B, T, C) -> (B, C). Positions that share the maximum share its gradient."""

    def __init__(self, prefix: int) -> None:
        super().__init__()
        self.prefix = prefix

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (B, C)."""
        # Not adaptive_max_pool2d, whose backward pass is not deterministic on CUDA.
        return positions(features, self.prefix).amax(-1)


def build(backbone: Backbone) -> nn.Module:
    """Return the maximum over the map or over the patch tokens (class and register tokens left out): global max pooling."""
    return Maximum(backbone.prefix)
