"""What was trained, on what and by what: everything that is the same each time a run is trained."""

import importlib.metadata
import math
import platform
from typing import Any

import torch
from torch import nn

from reidflow.spec.run import RunSpec
from reidflow.training.data import RunData
from reidflow.training.distance import geometry_of
from reidflow.training.fitting import Fitting
from reidflow.training.state import State

LIBRARIES = ("torch", "numpy", "pytorch-metric-learning")
IMAGE_LIBRARIES = ("timm", "torchvision", "kornia")
GEOMETRY_LIBRARIES = ("geoopt",)


def provenance(
    spec: RunSpec, data: RunData, module: nn.Module, fitting: Fitting | None, state: State, device: str
) -> dict[str, Any]:
    """Return versions, device, parameters, FLOPs, steps and outcome; no times, those vary.

    `parameters` and `flops` count the backbone too and are None where the frozen one's are not known. `best_epoch` is
    the epoch of the weights that were kept. `fitting` is None where nothing was trained.
    `flops`: of one image of the size that is tested. `train_flops`: by the usual convention 3 times the forward FLOPs of
    every image trained on, at its size (a backward pass counts two forward ones); of a frozen backbone, whose features
    are computed once for all runs, the head's alone.
    """
    losses = [row["loss"] for row in state.history if row["loss"] is not None]
    return {
        **machine(device, images=not spec.frozen, hyperbolic=_curvature(module) is not None),
        "geometry": {"name": spec.model.geometry["name"], "curvature": _curvature(module)},
        "parameters": _plus(data.backbone_parameters if spec.frozen else 0, _count(module.parameters())),
        "trainable_parameters": _count(p for p in module.parameters() if p.requires_grad),
        "loss_parameters": _count(fitting.loss.parameters()) if fitting else 0,
        "flops": _plus(data.backbone_flops if spec.frozen else 0, _forward(spec, module, spec.model.size)),
        "train_flops": sum(3 * n * _forward(spec, module, size) for size, n in sorted(state.images.items())),
        "epochs": state.epoch,
        "best_epoch": state.kept_epoch,
        "steps": state.steps,
        "train_images": len(data.rows("train")),
        "train_identities": len(data.labels()[1]),
        "diverged": state.diverged(),
        "loss_initial": _finite(state.first_loss),
        "loss_final": _finite(losses[-1]) if losses else None,
    }


def machine(device: str, images: bool, hyperbolic: bool) -> dict[str, Any]:
    """Return the device and the versions of the libraries that decide numbers, of image and hyperbolic runs theirs too."""
    cuda = torch.device(device).type == "cuda"
    names = LIBRARIES + (IMAGE_LIBRARIES if images else ()) + (GEOMETRY_LIBRARIES if hyperbolic else ())
    versions = {name: importlib.metadata.version(name) for name in names} | {"python": platform.python_version()}
    if cuda:
        versions |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
    return {"versions": versions, "device": torch.cuda.get_device_name(device) if cuda else "cpu"}


def _forward(spec: RunSpec, module: nn.Module, size: int) -> int:
    """Return the FLOPs of one image of `size` pixels, or of its frozen features, through what the run executes."""
    if spec.frozen:
        layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
        return sum(2 * layer.in_features * layer.out_features for layer in layers)
    from reidflow.models.network import count_flops

    return count_flops(module, size)


def _curvature(module: nn.Module) -> float | None:
    geometry = geometry_of(module)
    return None if geometry is None else geometry.curvature()


def _count(parameters: Any) -> int:
    return sum(p.numel() for p in parameters)


def _plus(known: int | None, more: int) -> int | None:
    return None if known is None else known + more


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
