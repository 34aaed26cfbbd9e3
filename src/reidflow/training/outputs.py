"""The files of a finished run, and the contracts of its tables."""

import importlib.metadata
import json
import math
import platform
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors.torch import save
from torch import nn

from reidflow.spec.run import RunSpec
from reidflow.spec.yaml import dumps
from reidflow.store.atomic import write_bytes, write_text
from reidflow.store.tables import Contract, write_table
from reidflow.training.checkpoint import TrainingState
from reidflow.training.data import RunData
from reidflow.training.distance import geometry_of
from reidflow.training.fitting import Fitting

HISTORY = Contract(
    "history of a run",
    {
        "epoch": pl.Int64,  # 0: before training
        "loss": pl.Float64,  # mean over the epoch's batches
        "val_id_map": pl.Float64,
        "learning_rate": pl.Float64,  # at the epoch's first step
        "gradient_norm": pl.Float64,  # mean over the epoch's steps, before clipping
        "gradient_norm_max": pl.Float64,
        "steps": pl.Int64,  # optimizer steps since the start
        "active": pl.Float64,  # share of the loss's terms (anchors, pairs, triplets) above 0
        "hardness": pl.Float64,  # mean of the terms above 0, in the loss's units; null where it counts none
        "size": pl.Int64,  # side of the images trained on, pixels; null for a run on features
        "curvature": pl.Float64,  # of the geometry at the epoch's end, negative; null where it has none
        "clipped": pl.Float64,  # share of the training embeddings at the geometry's clipping radius; null without one
    },
    nullable=frozenset(
        {
            "loss",
            "val_id_map",
            "gradient_norm",
            "gradient_norm_max",
            "active",
            "hardness",
            "size",
            "curvature",
            "clipped",
        }
    ),
)
EMBEDDINGS = Contract(
    "embeddings of a run",
    {"image": pl.String, "role": pl.String, "stage": pl.String, "vector": pl.List(pl.Float32)},
)


def write_run(out: Path, spec: RunSpec, history: list[dict[str, Any]], provenance: dict[str, Any]) -> None:
    """Write run.yaml (without what the digest of the data stands for), history.parquet and provenance.json."""
    write_text(out / "run.yaml", dumps(spec.apart_from_data()))
    write_table(pl.DataFrame(history, schema=HISTORY.columns), out / "history.parquet", HISTORY)
    write_json(out / "provenance.json", provenance)


def write_embeddings(out: Path, data: RunData, rows: np.ndarray, initial: np.ndarray, final: np.ndarray) -> None:
    """Write embeddings.parquet: for each of `rows` the vector (dim,) of either stage."""
    frames = [
        pl.DataFrame(
            {
                "image": [data.images[i] for i in rows],
                "role": [data.roles[i] for i in rows],
                "stage": [stage] * len(rows),
                "vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, vectors.shape[1])).cast(pl.List(pl.Float32)),
            }
        )
        for stage, vectors in (("initial", initial), ("final", final))
    ]
    write_table(pl.concat(frames), out / "embeddings.parquet", EMBEDDINGS)


def write_weights(out: Path, state: dict[str, torch.Tensor]) -> None:
    """Write model.safetensors: what the run trained (nothing, where nothing was trained)."""
    write_bytes(out / "model.safetensors", save({name: t.cpu().contiguous() for name, t in sorted(state.items())}))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` as JSON, keys sorted, one a line."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


LIBRARIES = ("torch", "numpy", "pytorch-metric-learning")
IMAGE_LIBRARIES = ("timm", "torchvision", "kornia")
GEOMETRY_LIBRARIES = ("geoopt",)


def provenance(
    spec: RunSpec, data: RunData, module: nn.Module, fitting: Fitting | None, state: TrainingState, device: str
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
