"""Inputs of a run on images: pixels that live on the training device where they fit."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from reidflow.models.images import to_pixels
from reidflow.spec.components import needing
from reidflow.spec.run import RunSpec
from reidflow.spec.seeds import seed_for
from reidflow.training.augment import Augment, make_augment
from reidflow.training.mixing import Mixed

CHUNK = 64
KEPT = 2**30


class ImageInputs:
    """Pixels (N, S, S, 3) uint8, scaled to the network's size, augmented per sample on the device.

    trained_on: pixels that replace them in training, where they differ. masks: (N, S, S) uint8 0/255, for an
    augmentation that uses them. size: of the images that `embed` sees, `model.size` by default.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        images: list[str],
        spec: RunSpec,
        device: str,
        trained_on: np.ndarray | None = None,
        masks: np.ndarray | None = None,
        size: int | None = None,
    ) -> None:
        self.images, self.device = images, torch.device(device)
        self.size, self.half = spec.model.size, spec.precision == "bf16"
        self.augmentation, self.seed = spec.augmentation, seed_for(spec.seed, "augmentation")
        self.plain = Stored(pixels, size or self.size, self.device)
        self.seen = pixels if trained_on is None else trained_on
        self.masks = (
            masks[..., None] if masks is not None and needing("augmentation", spec.augmentation, "masks") else None
        )
        self.trained: dict[int, Training] = {}

    def epoch(
        self, number: int, batches: list[np.ndarray], size: int | None = None
    ) -> Iterator[tuple[torch.Tensor, Mixed | None]]:
        """Yield the images (B, 3, size, size), 0 to 255, of each batch of rows, augmented, and with whom they are mixed.

        An image that comes again in the same epoch is augmented independently. size: None is `model.size`.
        """
        at = self._at(size or self.size)
        seen: dict[int, int] = {}
        for batch in batches:
            images, mixed = at.pixels.gather(batch), None
            if at.augment is not None:
                masks = at.masks.gather(batch) if at.masks else None
                images, mixed = at.augment.mixed(images, [self._key(int(row), seen) for row in batch], number, masks)
            yield self._laid_out(images), mixed

    def embed(self, module: nn.Module, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings (len(rows), dim) float32 of the plain images."""
        parts = []
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            for start in range(0, len(rows), CHUNK):
                parts.append(module(self._laid_out(self.plain.gather(rows[start : start + CHUNK]))).float())
        return torch.cat(parts).cpu().numpy()

    def _at(self, size: int) -> "Training":
        """Return what training needs at this size; only one size is kept at a time."""
        if size not in self.trained:
            augment = None
            if self.augmentation:
                augment = make_augment(self.augmentation, size, self.seed, masks=self.masks is not None)
            shared = size == self.plain.size and self.seen is self.plain.pixels
            masks = None if self.masks is None else Stored(self.masks, size, self.device)
            self.trained.clear()
            pixels = self.plain if shared else Stored(self.seen, size, self.device)
            self.trained[size] = Training(pixels, masks, augment)
        return self.trained[size]

    def _key(self, row: int, seen: dict[int, int]) -> str:
        seen[row] = seen.get(row, 0) + 1
        return self.images[row] if seen[row] == 1 else f"{self.images[row]}\0{seen[row]}"

    def _laid_out(self, images: torch.Tensor) -> torch.Tensor:
        if self.device.type == "cuda":
            return images.contiguous(memory_format=torch.channels_last)
        return images.contiguous()


class Training(NamedTuple):
    """Training images at one size, with what augments them."""

    pixels: "Stored"
    masks: "Stored | None"
    augment: Augment | None


class Stored:
    """Pixels (N, S, S, C) uint8 given out at the network's size.

    They live on a CUDA device where they fit. On the CPU they stay where they are, memory-mapped; what was made smaller
    is kept up to KEPT bytes, since making an image smaller may take as long as a small network's step on it.
    """

    def __init__(self, pixels: np.ndarray, size: int, device: torch.device) -> None:
        self.pixels, self.size, self.device = pixels, size, device
        self.resident = self._load() if _fits(pixels, size, device) else None
        self.kept = self.known = None
        if device.type == "cpu" and pixels.shape[1] > size and _bytes(pixels, size) <= KEPT:
            self.kept, self.known = self._empty(), np.zeros(len(pixels), bool)

    def gather(self, rows: np.ndarray) -> torch.Tensor:
        """Return rows (B, C, size, size) uint8."""
        if self.resident is not None:
            return self.resident.index_select(0, torch.from_numpy(rows).to(self.device))
        if self.kept is None:
            return self._scaled(self.pixels[rows])
        fresh = np.unique(rows[~self.known[rows]])
        if len(fresh):
            self.kept[torch.from_numpy(fresh)] = self._scaled(self.pixels[fresh])
            self.known[fresh] = True
        return self.kept.index_select(0, torch.from_numpy(rows))

    def _load(self) -> torch.Tensor:
        resident = self._empty()
        for start in range(0, len(self.pixels), CHUNK):
            resident[start : start + CHUNK] = self._scaled(self.pixels[start : start + CHUNK])
        return resident

    def _empty(self) -> torch.Tensor:
        shape = (len(self.pixels), self.pixels.shape[3], self.size, self.size)
        return torch.empty(shape, dtype=torch.uint8, device=self.device)

    def _scaled(self, stored: np.ndarray) -> torch.Tensor:
        return to_pixels(torch.from_numpy(np.ascontiguousarray(stored)).to(self.device), self.size)


def _bytes(pixels: np.ndarray, size: int) -> int:
    return len(pixels) * pixels.shape[3] * size * size


def _fits(pixels: np.ndarray, size: int, device: torch.device) -> bool:
    """Return whether all images at the network's size take under half of what is free on a CUDA device."""
    if device.type != "cuda":
        return False
    return _bytes(pixels, size) < torch.cuda.mem_get_info(device)[0] / 2
