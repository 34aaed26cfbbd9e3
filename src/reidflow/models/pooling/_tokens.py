"""Maps and tokens seen alike by the poolings."""

import torch


def positions(features: torch.Tensor, prefix: int) -> torch.Tensor:
    """Return a map (B, C, H, W) or tokens (B, T, C) as (B, C, positions), without the `prefix` tokens that are no patch."""
    return features.flatten(2) if features.ndim == 4 else features[:, prefix:].transpose(1, 2)
