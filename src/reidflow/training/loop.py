"""Train one run and write its files."""

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reidflow.models.determinism import deterministic
from reidflow.spec.run import RunSpec
from reidflow.training.building import build_module
from reidflow.training.checkpoint import Checkpoints, TrainingState, trained_state
from reidflow.training.data import RunData
from reidflow.training.feature_inputs import FeatureInputs
from reidflow.training.fitting import Fitting, Watch
from reidflow.training.outputs import HISTORY, provenance, write_embeddings, write_json, write_run, write_weights
from reidflow.training.progress import Progress
from reidflow.training.validation import Validation


def train(
    spec: RunSpec,
    data: RunData,
    work: Path,
    out: Path,
    device: str,
    *,
    key: str,
    checkpoint_seconds: float = 2.0,
    watch: Watch | None = None,
) -> RunSpec:
    """Train the run `spec` on `data` and write its files into the folder `out`.

    Resumes from the checkpoint in `work` if there is one under the same `key`. The files are the same bytes whether the
    training was interrupted or not, except efficiency.json, which holds all that depends on time. In model.safetensors
    the names start with `model.` or `loss.`. `device` is torch's name of it; `checkpoint_seconds` is the shortest time between two checkpoints.
    `watch(epoch, val_id_map)` is called after every epoch but the last and returns whether to end there; the files are then those of
    the run with `spec.stop` at that epoch. Returns the spec of the run that was made.
    Raises ReidflowError where the data do not fit the spec.
    """
    for folder in (work, out):
        folder.mkdir(parents=True, exist_ok=True)
        for half_written in folder.glob(".tmp-*"):
            half_written.unlink()
    data.check(spec)
    with deterministic(spec.threads, device):
        return _train(spec, data, work, out, device, Checkpointing(key, checkpoint_seconds), watch)


@dataclass(frozen=True)
class Checkpointing:
    """Under which key a training resumes, and how often it makes that possible."""

    key: str
    seconds: float


def _train(
    spec: RunSpec, data: RunData, work: Path, out: Path, device: str, often: Checkpointing, watch: Watch | None
) -> RunSpec:
    start = time.monotonic()
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    module, inputs, dim = _build(spec, data, device)
    rows = data.stored_rows()
    module.eval()
    initial = inputs.embed(module, rows)
    state, fitting = TrainingState(), None
    if spec.model.trainable.name == "none":
        row = dict.fromkeys(HISTORY.columns) | {"epoch": 0, "steps": 0, "learning_rate": 0.0}
        state.history.append(row | {"val_id_map": Validation(data, spec.model.geometry["name"]).score(inputs, module)})
    else:
        fitting = Fitting(spec, data, module, inputs, dim, device)
        state = _fit(fitting, work, often, watch)
        spec = spec.model_copy(update={"stop": fitting.stop})
        module.eval()
    final = inputs.embed(module, rows) if fitting else initial
    write_embeddings(out, data, rows, initial, final)
    write_weights(out, trained_state(fitting.both) if fitting else {})
    write_run(out, spec, state.history, provenance(spec, data, module, fitting, state, device))
    write_json(out / "efficiency.json", _efficiency(state, time.monotonic() - start, device))
    return spec


def _build(spec: RunSpec, data: RunData, device: str) -> tuple[nn.Module, Any, int]:
    """Return the network to train, what feeds it, and the dimension of the embedding."""
    module, dim = build_module(spec, data.features.shape[2] if spec.frozen else None, device)
    if spec.frozen:
        return module, FeatureInputs(data.features, spec, device, data.trained_on), dim
    # Only a run on images needs torchvision, which takes seconds to import.
    from reidflow.training.image_inputs import ImageInputs

    return module, ImageInputs(data.pixels, data.images, spec, device, data.trained_on, data.masks), dim


def _fit(fitting: Fitting, work: Path, often: Checkpointing, watch: Watch | None) -> TrainingState:
    machine = torch.cuda.get_device_name(fitting.device) if fitting.device.type == "cuda" else "cpu"
    checkpoints = Checkpoints(work, f"{often.key} {torch.__version__} {machine}", often.seconds)
    content = checkpoints.read(str(fitting.device))
    if content is not None:
        fitting.resume(content, watch)
    fitting.run(checkpoints, Progress(work, fitting.stages.epochs, fitting.state.epoch), watch)
    return fitting.state


def _efficiency(state: TrainingState, seconds: float, device: str) -> dict[str, Any]:
    """Return times and memory; a resumed run counts the seconds of all its parts."""
    cuda = torch.device(device).type == "cuda"
    peak = (
        torch.cuda.max_memory_allocated(device) if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return {
        "seconds": round(max(seconds, state.seconds), 3),
        "images_per_second": round(sum(state.images.values()) / state.seconds_steps, 1)
        if state.seconds_steps
        else None,
        "peak_memory_mb": round(peak / 2**20, 1),
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
    }
