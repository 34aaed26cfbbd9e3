"""Vectors of image files by finished runs: those that the pipeline stores for the same images."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from reidflow.dedup.neighbours import unit
from reidflow.features.bank import BATCH
from reidflow.models.determinism import deterministic
from reidflow.models.images import to_pixels
from reidflow.models.network import build_features
from reidflow.spec import code
from reidflow.spec.canonical import short
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import modules
from reidflow.spec.run import HYPERSPHERE, RunSpec
from reidflow.spec.yaml import load
from reidflow.store.runs import SPEC, WEIGHTS, verified
from reidflow.training.building import build_module
from reidflow.training.embedding import restore
from reidflow.training.image_inputs import CHUNK

# What decides vectors, beside components; not this file, whose imports would take in all of training.
DECIDING = (
    "reidflow.ingest.decode",
    "reidflow.ingest.framing",
    "reidflow.models.images",
    "reidflow.models.network",
    "reidflow.training.building",
)
HEADS = 256  # rows of features that a head sees at a time


class Embedder:
    """The network of one finished run.

    A row's bits depend on the number of rows that go through a network together, and not on the other rows. So batches
    have one size, and the last one is filled up.
    """

    def __init__(self, folder: Path, spec: RunSpec | None = None, device: str = "cpu") -> None:
        """folder: of the run, in the results or in the run store; there the spec must be given, else it is in the folder.

        Raises ReidflowError where it is not the folder of a finished run.
        """
        self.folder, self.device = folder, torch.device(device)
        self.spec = spec or read_spec(folder)
        with deterministic(self.spec.threads, device):
            self.network = self._backbone() if self.spec.frozen else None
            features = self.network.backbone.dim if self.network else None
            self.module, self.dim = build_module(self.spec, features, device)
            verified(folder, WEIGHTS)
            restore(self.module, folder)
            self.module.eval()

    @property
    def cosine(self) -> bool:
        """Whether the run's embeddings are compared by the angle between them."""
        return self.spec.model.geometry["name"] == HYPERSPHERE["name"]

    def identity(self) -> str:
        """Return a digest of what decides the vector of a square."""
        return run_identity(self.folder, self.spec)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the embeddings (n, dim) float32 of squares (n, S, S, 3) uint8, S at least the size of the spec."""
        if not len(pixels):
            return np.empty((0, self.dim), np.float32)
        with deterministic(self.spec.threads, str(self.device)), torch.inference_mode():
            if self.network is None:
                return self._batches(self._whole, pixels, CHUNK)
            features = self._batches(self._features, pixels, BATCH[self.device.type])
            return self._batches(self._head, features, HEADS)

    def _backbone(self) -> torch.nn.Module:
        model = self.spec.model
        network = build_features(model.backbone, model.size, model.pooling, seed=0)
        return network.to(device=self.device, memory_format=torch.channels_last)

    def _batches(self, embed: Any, rows: np.ndarray, size: int) -> np.ndarray:
        parts = []
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            filled = np.concatenate([some, np.zeros((size - len(some), *rows.shape[1:]), rows.dtype)])
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.spec.precision == "bf16"):
                parts.append(embed(torch.from_numpy(filled).to(self.device)).float()[: len(some)].cpu().numpy())
        return np.concatenate(parts)

    def _features(self, stored: torch.Tensor) -> torch.Tensor:
        pixels = to_pixels(stored, self.spec.model.size)
        return self.network(pixels.contiguous(memory_format=torch.channels_last))

    def _head(self, features: torch.Tensor) -> torch.Tensor:
        return self.module(features)

    def _whole(self, stored: torch.Tensor) -> torch.Tensor:
        pixels = to_pixels(stored, self.spec.model.size)
        cuda = self.device.type == "cuda"
        return self.module(pixels.contiguous(memory_format=torch.channels_last) if cuda else pixels.contiguous())


def run_identity(folder: Path, spec: RunSpec) -> str:
    """Return a digest of what decides the vector that a finished run gives to a square: its network and its weights."""
    weights = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    plain = spec.plain()
    return short([*(plain[key] for key in ("model", "precision", "threads", "seed")), weights], 32)


def joint_identity(identities: list[str]) -> str:
    """Return the digest of several runs whose vectors stand side by side, given that of each."""
    return identities[0] if len(identities) == 1 else short(identities, 32)


def code_of(specs: list[RunSpec], frame: dict[str, Any], network: dict[str, Any] | None = None) -> str:
    """Return the digest of the code that turns an image file into its vector by runs, in a frame.

    network: what computes masks, as in `image_files.Framing`.
    """
    models = [spec.model for spec in specs]
    networks = [(kind, getattr(model, kind)) for model in models for kind in ("backbone", "pooling", "geometry")]
    masks = ["reidflow.ingest.segmenter", *modules(("segmenter", network["segmenter"]))] if network else []
    return code.run_digest(*DECIDING, *modules(("frame", frame), *networks), *masks)


class JointEmbedder:
    """Several runs as one: their unit vectors side by side, so that cosines are the means of theirs."""

    def __init__(self, embedders: list[Embedder]) -> None:
        self.embedders = embedders
        self.dim = sum(embedder.dim for embedder in embedders)

    def identity(self) -> str:
        """Return a digest of what decides the vector of a square."""
        return joint_identity([embedder.identity() for embedder in self.embedders])

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the embeddings (n, dim) float32 of squares (n, S, S, 3) uint8."""
        return np.concatenate([unit(embedder(pixels)) for embedder in self.embedders], axis=1)


def read_spec(folder: Path) -> RunSpec:
    """Return the spec in the readable folder of a run. Raises ReidflowError where there is none."""
    path = folder / SPEC
    if not path.is_file():
        raise ReidflowError(
            f"{path}: not there, so this is not the folder of a finished run. Name one as experiment/arm/seed-0, or by "
            "its path; the pipeline makes them under results/experiments."
        )
    try:
        spec = RunSpec.model_validate(load(path))
    except ValidationError as error:
        raise ReidflowError(f"{path}: not the spec of a run ({error}). Run the pipeline again.") from error
    if spec.ensemble:
        raise ReidflowError(f"{folder}: an ensemble of several runs, of which it holds one. Name single runs instead.")
    return spec
