"""Inputs of a run on frozen features."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from reidflow.spec.run import RunSpec
from reidflow.spec.seeds import seed_for

CHUNK = 8192


class FeatureInputs:
    """Frozen features (N, 1 + views, D) on the device; view 0 is the plain image.

    trained_on: features that replace them in training, where they differ.
    """

    def __init__(self, features: np.ndarray, spec: RunSpec, device: str, trained_on: np.ndarray | None = None) -> None:
        trained_on = features if trained_on is None else trained_on
        self.views, self.dim = trained_on.shape[1:]
        self.plain_views = features.shape[1]
        self.plain = self._flat(features, device)
        self.flat = self.plain if trained_on is features else self._flat(trained_on, device)
        self.seed, self.half = spec.seed, spec.precision == "bf16"

    def _flat(self, features: np.ndarray, device: str) -> torch.Tensor:
        flat = np.ascontiguousarray(features, dtype=np.float32).reshape(-1, self.dim)
        return torch.from_numpy(flat).to(device)

    def epoch(
        self, number: int, batches: list[np.ndarray], size: int | None = None
    ) -> Iterator[tuple[torch.Tensor, None]]:
        """Yield the features (B, D) of each batch of rows; with augmented views each is a view sampled at random.

        Features are never mixed, hence the None beside them, and have no size.
        """
        order = np.concatenate(batches)
        index = torch.from_numpy(order * self.views + self._views(number, len(order))).to(self.flat.device)
        for part in index.split([len(batch) for batch in batches]):
            yield self.flat.index_select(0, part), None

    def _views(self, number: int, size: int) -> np.ndarray | int:
        if self.views == 1:
            return 0
        seed = np.random.SeedSequence(seed_for(self.seed, "view", number))
        return np.random.Generator(np.random.PCG64(seed)).integers(1, self.views, size=size)

    def embed(self, module: nn.Module, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings (len(rows), dim) float32 of the plain images."""
        index = torch.from_numpy(rows * self.plain_views).to(self.plain.device)
        with torch.inference_mode(), torch.autocast(self.plain.device.type, torch.bfloat16, enabled=self.half):
            parts = [module(self.plain.index_select(0, part)).float() for part in index.split(CHUNK)]
        return torch.cat(parts).cpu().numpy()
