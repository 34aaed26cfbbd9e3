"""The part of a network that a run's own process executes, as it is before training."""

import torch
from torch import nn

from reidflow.models.geometries._geometry import Geometry
from reidflow.models.head import build_head
from reidflow.spec import components
from reidflow.spec.run import RunSpec


class Placed(nn.Module):
    """A network whose output a geometry maps into its space."""

    def __init__(self, network: nn.Module, geometry: Geometry) -> None:
        super().__init__()
        self.network = network
        self.geometry = geometry

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the coordinates (B, D) of the embeddings."""
        return self.geometry(self.network(seen))


def build_module(spec: RunSpec, features: int | None, device: str) -> tuple[nn.Module, int]:
    """Return the untrained module of a run on `device`, and the dimension of its embeddings.

    `features`: the dimension of the frozen features that it reads, None for a run on images. On features it is the head
    (or nothing, with `trainable: none`), on images the complete network, followed by the geometry's map. Its weights depend
    on the spec alone.
    """
    if spec.model.trainable.name == "none":
        return nn.Identity(), features
    if spec.frozen:
        return _placed(build_head(spec.model.head, features, spec.seed), spec).to(device), spec.model.head.dim
    # Only a run on images needs timm, which takes seconds to import.
    from reidflow.models.network import build_network

    network = build_network(spec.model, spec.seed).to(device)
    if torch.device(device).type == "cuda":
        network = network.to(memory_format=torch.channels_last)
    return _placed(network, spec).to(device), spec.model.head.dim


def _placed(network: nn.Module, spec: RunSpec) -> nn.Module:
    geometry = components.call("geometry", spec.model.geometry)
    return network if geometry is None else Placed(network, geometry)
