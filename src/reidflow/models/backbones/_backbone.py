"""The interface of a backbone: normalised images in, one convention of features out."""

from collections.abc import Sequence

import torch
from torch import nn

from reidflow.spec.errors import ReidflowError

CONTAINERS = ("blocks", "stages", "layers")


class Backbone(nn.Module):
    """A network without its classifier.

    `forward` takes normalised images (B, 3, S, S) and gives a map (B, C, H, W) or tokens (B, T, C), the first `prefix`
    of which are not patches. `dim` is C. `class_token`: whether token 0 is a class token. `mean` and `std` (3,)
    normalise images in 0..1. `after` is the norm that the architecture applies to the pooled vector (ConvNeXt, EVA-02).
    """

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float], name: str) -> None:
        super().__init__()
        self.net = net
        self.name = name
        self.after: nn.Module = nn.Identity()
        self.dim = 0
        self.prefix = 0
        self.class_token = False
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32), persistent=False)

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return pixels (B, 3, S, S), uint8 or float in 0..255, as the normalised floats that `forward` takes."""
        mean, std = self.mean.view(1, 3, 1, 1), self.std.view(1, 3, 1, 1)
        return (pixels.float() / 255 - mean) / std

    def blocks(self) -> list[nn.ModuleList]:
        """Return the stages or blocks in order; norms and layers behind them belong to the last one.

        What comes before them (stem, patch and position embedding) is in none. Raises ReidflowError where the
        architecture does not show its blocks.
        """
        children = dict(self.net.named_children())
        names = [n for n in CONTAINERS if n in children] or sorted(n for n in children if n[:-1] == "layer")
        if not names:
            raise ReidflowError(
                f"the blocks of the backbone '{self.name}' are unknown. Set trainable: {{name: all}} or head."
            )
        stages = [children[n] for n in names] if names[0] not in CONTAINERS else list(children[names[0]].children())
        last = names[-1] if names[0] not in CONTAINERS else names[0]
        order = list(children)
        tail = [children[n] for n in order[order.index(last) + 1 :]]
        groups = [nn.ModuleList([stage]) for stage in stages]
        groups[-1].extend([*tail, self.after])
        return groups


class PooledNorm(nn.Module):
    """A norm for maps (B, C, H, W) applied to pooled vectors (B, C)."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return (B, C)."""
        return self.norm(pooled[:, :, None, None]).flatten(1)
