"""Flat space in torch."""

import torch

from reidflow.models.geometries._geometry import Geometry


class Flat(Geometry):
    """Vectors are their own coordinates."""

    def into(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the vectors."""
        return vectors

    def distances(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Return the Euclidean distances, each from its difference; the gradient at 0 is 0."""
        return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
