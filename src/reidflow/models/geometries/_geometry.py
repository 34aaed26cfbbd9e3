"""The interface of every geometry that is not the hypersphere."""

import torch
from torch import nn


class Geometry(nn.Module):
    """Maps the output of the head into a space, and measures distances there.

    Coordinates are those that a run stores: a point of a space of any curvature, scaled to curvature -1, so that the
    order of distances needs the name of the geometry alone. Distances are in the true curvature.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen = 0
        self._clipped: list[torch.Tensor] = []

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the coordinates (B, D) float32 of the head's output (B, D); what follows takes no smaller floats."""
        with torch.autocast(vectors.device.type, enabled=False):
            return self.into(vectors.float())

    def into(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the coordinates (B, D) of vectors (B, D), both float32."""
        raise NotImplementedError

    def distances(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Return the distances (..., A, B) of coordinates (..., A, D) and (..., B, D), with finite gradients at 0."""
        raise NotImplementedError

    def curvature(self) -> float | None:
        """Return the curvature of the space as it is now; None for a flat one."""
        return None

    def take_clipped(self) -> float | None:
        """Return the share of the training vectors since the last call that were clipped; None without a limit."""
        clipped = torch.stack(self._clipped).sum().item() if self._clipped else None
        share = None if clipped is None else clipped / self._seen
        self._seen, self._clipped = 0, []
        return share

    def note_clipped(self, at_limit: torch.Tensor) -> None:
        """Count which (B,) vectors of a training batch are clipped; what is counted stays on the device."""
        if self.training:
            self._seen += len(at_limit)
            self._clipped.append(at_limit.detach().sum())
