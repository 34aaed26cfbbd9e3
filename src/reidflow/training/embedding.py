"""What a finished run makes of other versions of the images."""

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from reidflow.models.determinism import deterministic
from reidflow.spec.errors import ReidflowError
from reidflow.spec.run import RunSpec
from reidflow.training.building import build_module
from reidflow.training.checkpoint import load_state
from reidflow.training.feature_inputs import FeatureInputs

WEIGHTS = "model.safetensors"
OURS = "model."


def embed_stored(
    folder: Path,
    spec: RunSpec,
    rows: np.ndarray,
    *,
    features: np.ndarray | None,
    pixels: np.ndarray | None,
    device: str,
    size: int | None = None,
    mirrored: bool = False,
) -> np.ndarray:
    """Return the embeddings (len(rows), dim) float32 that the run `spec`, stored in `folder`, gives to images.

    Given the rows that the run itself evaluated, in its order and of the images it was given, these are its stored
    final embeddings bit for bit.

    Args:
        folder: of the finished run; model.safetensors holds what it trained, the rest is rebuilt from the spec.
        spec: the run's spec.
        rows: integers, rows of the array, in any order.
        features: (N, 1 + views, D), of which the plain image (view 0) is read; given for a frozen backbone.
        pixels: (N, S, S, 3) uint8, may be memory-mapped; given for a run on images.
        device: torch's name of it.
        size: side in pixels at which the network sees the images, by default `model.size`; features are given at it.
        mirrored: whether pixels are mirrored left to right; features are given as they are.

    Raises ReidflowError where the array that the run reads is missing or does not fit, or the weights are another run's.
    """
    array = features if spec.frozen else pixels
    if array is None:
        raise ReidflowError(f"{folder}: the run reads {'features' if spec.frozen else 'pixels'}, and none are given.")
    with deterministic(spec.threads, device):
        module, _ = build_module(spec, array.shape[2] if spec.frozen else None, device)
        restore(module, folder)
        module.eval()
        if spec.frozen:
            plain = FeatureInputs(np.asarray(array[rows, :1]), spec, device)
            return plain.embed(module, np.arange(len(rows)))
        # Only a run on images needs torchvision, which takes seconds to import.
        from reidflow.training.image_inputs import ImageInputs

        unchanged = spec.model_copy(update={"augmentation": []})
        seen = np.ascontiguousarray(array[rows][:, :, ::-1]) if mirrored else array
        places = np.arange(len(rows)) if mirrored else np.ascontiguousarray(rows)
        return ImageInputs(seen, [], unchanged, device, size=size).embed(module, places)


def restore(module: nn.Module, folder: Path) -> None:
    """Put the weights that a run kept in `folder` into its freshly built module. Raises ReidflowError."""
    try:
        stored: dict[str, torch.Tensor] = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ReidflowError(
            f"{folder / WEIGHTS}: not readable ({error}). Remove the run's folder and run again."
        ) from error
    own = {name.removeprefix(OURS): tensor for name, tensor in stored.items() if name.startswith(OURS)}
    if not list(module.parameters()) and not own:
        return
    try:
        load_state(module, own)
    except (KeyError, RuntimeError) as error:
        raise ReidflowError(
            f"{folder / WEIGHTS}: not the weights of this run ({error}). Remove its folder and run again."
        ) from error
