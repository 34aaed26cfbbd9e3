"""The complete network: pixels -> backbone -> pooling -> head -> embedding."""

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from reidflow.models.backbones._backbone import Backbone
from reidflow.models.determinism import seeded
from reidflow.models.head import build_head
from reidflow.spec.components import call
from reidflow.spec.errors import ReidflowError
from reidflow.spec.run import Model


@dataclass(frozen=True)
class Counts:
    """Parameters of a network: all of them, and those that are trained."""

    total: int
    trainable: int


class Network(nn.Module):
    """Pixels (B, 3, S, S), uint8 or float in 0..255 -> embeddings (B, D), not normalised.

    What is frozen stays in evaluation mode, whatever `train()` is called with: its batch statistics do not move.
    """

    def __init__(self, backbone: Backbone, pooling: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.head = head
        self._trained: tuple[nn.Module, ...] = (self,)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the pooled features (B, C)."""
        maps = self.backbone(self.backbone.normalise(pixels))
        return self.backbone.after(self.pooling(maps))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (B, D)."""
        return self.head(self.features(pixels))

    def freeze_all_but(self, trained: list[nn.Module]) -> None:
        """Give gradients and training mode to the modules `trained` alone."""
        self._trained = tuple(trained)
        fixed = [p for p in self.parameters() if not p.requires_grad]
        self.requires_grad_(False)
        for module in trained:
            module.requires_grad_(True)
        for parameter in fixed:
            parameter.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Network":
        """Set training mode for the trained parts, evaluation mode for the frozen ones."""
        super().train(False)
        self.training = mode
        for module in self._trained:
            super().train(mode) if module is self else module.train(mode)
        return self


def build_features(backbone: dict[str, Any], size: int, pooling: dict[str, Any], seed: int) -> Network:
    """Return the frozen network whose embeddings are the pooled features (B, C) themselves, in evaluation mode.

    `backbone` and `pooling` are resolved component specs. Raises ReidflowError for a pooling that would be learned.
    """
    with seeded(seed, "backbone"):
        body = call("backbone", backbone, size)
    network = Network(body, call("pooling", pooling, body), nn.Identity())
    if any(p.requires_grad for p in network.pooling.parameters()):
        raise ReidflowError(
            f"pooling '{pooling['name']}' is to be learned, but the backbone is frozen and its features are computed "
            "once. Set learned: false, or train last_blocks or all."
        )
    network.freeze_all_but([])
    return network.eval()


def build_network(model: Model, seed: int) -> Network:
    """Return the network of a run, frozen as `model.trainable` says, initialised from `seed` alone, on the CPU.

    The head's initial weights are those of `build_head` with the same seed. With `trainable: none` the embeddings are
    the pooled features. Raises ReidflowError for unavailable weights, a pooling that does not fit the backbone,
    or more blocks than the backbone has.
    """
    if model.trainable.name in ("none", "head"):
        network = build_features(model.backbone, model.size, model.pooling, seed)
        if model.trainable.name == "head":
            network.head = build_head(model.head, network.backbone.dim, seed)
            network.freeze_all_but([network.head])
        return network
    with seeded(seed, "backbone"):
        body = call("backbone", model.backbone, model.size)
    network = Network(body, call("pooling", model.pooling, body), build_head(model.head, body.dim, seed))
    if model.trainable.name == "last_blocks":
        network.freeze_all_but([*_last_blocks(body, model.trainable.blocks), network.pooling, network.head])
    return network


def _last_blocks(backbone: Backbone, count: int) -> list[nn.Module]:
    blocks = backbone.blocks()
    if count > len(blocks):
        raise ReidflowError(
            f"trainable: last_blocks needs {count} blocks, the backbone '{backbone.name}' has {len(blocks)}. "
            f"Set blocks to at most {len(blocks)}, or trainable: {{name: all}}."
        )
    return [module for block in blocks[-count:] for module in block]


def count_parameters(network: nn.Module) -> Counts:
    """Return how many parameters `network` has and how many of them are trained."""
    sizes = [(p.numel(), p.requires_grad) for p in network.parameters()]
    return Counts(sum(n for n, _ in sizes), sum(n for n, trained in sizes if trained))


def count_flops(network: nn.Module, size: int) -> int:
    """Return the floating-point operations of one forward pass of one image of `size` pixels.

    Counted by torch.utils.flop_counter: matrix products, convolutions and attention, a multiply-add as two.
    """
    from torch.utils.flop_counter import FlopCounterMode

    training = network.training
    device = next(network.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, 3, size, size, device=device))
    network.train(training)
    return int(counter.get_total_flops())


def weights_digest(network: nn.Module) -> str:
    """Return the SHA-256 of the names, types, shapes and bytes of every persistent tensor of `network`."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name}\0{plain.dtype}\0{tuple(plain.shape)}\0".encode())
        digest.update(plain.numpy().tobytes())
    return digest.hexdigest()
