"""The class token of a vision transformer."""

import torch
from torch import nn

from reidflow.models.backbones._backbone import Backbone
from reidflow.spec.errors import ReidflowError


class ClassToken(nn.Module):
    """Tokens (B, T, C) -> (B, C)."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (B, C)."""
        return features[:, 0]


def build(backbone: Backbone) -> nn.Module:
    """Return the class token. Raises ReidflowError for a backbone that has none (a CNN, Swin, a ViT without)."""
    if not backbone.class_token:
        raise ReidflowError(
            f"pooling 'cls' needs a class token, and the backbone '{backbone.name}' has none. Use avg or gem."
        )
    return ClassToken()
