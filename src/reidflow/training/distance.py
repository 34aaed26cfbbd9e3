"""The distance of a geometry as pytorch-metric-learning wants it."""

from typing import Any

import torch
from pytorch_metric_learning.distances import BaseDistance
from torch import nn

from reidflow.models.geometries._geometry import Geometry
from reidflow.spec import components


class Geodesic(BaseDistance):
    """Distances of embeddings in their geometry, in its true curvature.

    The geometry belongs to the model: it is no part of this module, or a learned curvature would be trained twice.
    """

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(normalize_embeddings=False)
        self._outside = (geometry,)

    def compute_mat(self, query_emb: torch.Tensor, ref_emb: torch.Tensor | None) -> torch.Tensor:
        """Return the distances (A, B) of (A, D) and (B, D)."""
        return self._outside[0].distances(query_emb, query_emb if ref_emb is None else ref_emb)

    def pairwise_distance(self, query_emb: torch.Tensor, ref_emb: torch.Tensor) -> torch.Tensor:
        """Return the distances (N,) of row i of (N, D) to row i of (N, D)."""
        return self._outside[0].distances(query_emb.unsqueeze(1), ref_emb.unsqueeze(1)).reshape(-1)


def distance_of(module: nn.Module) -> Geodesic | None:
    """Return the distance of a module's geometry; None on the hypersphere, where each loss has its own."""
    geometry = geometry_of(module)
    return None if geometry is None else Geodesic(geometry)


def geometry_of(module: nn.Module) -> Geometry | None:
    """Return the geometry that a module maps its embeddings into; None on the hypersphere."""
    geometry = getattr(module, "geometry", None)
    return geometry if isinstance(geometry, Geometry) else None


def call_with_distance(kind: str, spec: dict[str, Any], distance: Geodesic | None, *context: Any) -> Any:
    """Build a loss or a miner; one with the context parameter `distance` gets it, after `context`."""
    takes_distance = "distance" in components.context(kind, spec["name"])
    return components.call(kind, spec, *context, *([distance] if takes_distance else []))
