"""What a run on images trains on: pixels that live on the training device where they fit."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from reidflow.models.images import to_pixels
from reidflow.spec.run import RunSpec
from reidflow.spec.seeds import seed_for
from reidflow.training.augment import Augment, make_augment
from reidflow.training.mixing import Mixed

CHUNK = 64


class ImageInputs:
    """Pixels (N, S, S, 3) uint8, scaled to the network's size, augmented per sample on the device.

    trained_on: pixels that take their place in training, where they differ.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        images: list[str],
        spec: RunSpec,
        device: str,
        trained_on: np.ndarray | None = None,
    ) -> None:
        self.images, self.device = images, torch.device(device)
        self.size, self.half = spec.model.size, spec.precision == "bf16"
        self.augmentation, self.seed = spec.augmentation, seed_for(spec.seed, "augmentation")
        self.plain = Stored(pixels, self.size, self.device)
        self.seen = pixels if trained_on is None else trained_on
        self.trained: dict[int, tuple[Stored, Augment | None]] = {}

    def epoch(
        self, number: int, batches: list[np.ndarray], size: int | None = None
    ) -> Iterator[tuple[torch.Tensor, Mixed | None]]:
        """Yield the images (B, 3, size, size), 0 to 255, of each batch of rows, augmented, and with whom they are mixed.

        An image that comes again in the same epoch is augmented anew. size: None is `model.size`.
        """
        stored, augment = self._at(size or self.size)
        seen: dict[int, int] = {}
        for batch in batches:
            images, mixed = stored.gather(batch), None
            if augment is not None:
                images, mixed = augment.mixed(images, [self._key(int(row), seen) for row in batch], number)
            yield self._laid_out(images), mixed

    def embed(self, module: nn.Module, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings (len(rows), dim) float32 of the plain images."""
        parts = []
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            for start in range(0, len(rows), CHUNK):
                parts.append(module(self._laid_out(self.plain.gather(rows[start : start + CHUNK]))).float())
        return torch.cat(parts).cpu().numpy()

    def _at(self, size: int) -> tuple["Stored", Augment | None]:
        """Return the training images at this size, and what augments them; only one size is kept at a time."""
        if size not in self.trained:
            augment = make_augment(self.augmentation, size, self.seed) if self.augmentation else None
            shared = size == self.size and self.seen is self.plain.pixels
            self.trained.clear()
            self.trained[size] = (self.plain if shared else Stored(self.seen, size, self.device)), augment
        return self.trained[size]

    def _key(self, row: int, seen: dict[int, int]) -> str:
        seen[row] = seen.get(row, 0) + 1
        return self.images[row] if seen[row] == 1 else f"{self.images[row]}\0{seen[row]}"

    def _laid_out(self, images: torch.Tensor) -> torch.Tensor:
        if self.device.type == "cuda":
            return images.contiguous(memory_format=torch.channels_last)
        return images.contiguous()


class Stored:
    """Pixels (N, S, S, 3) uint8 given out at the network's size; they live on the device where they fit."""

    def __init__(self, pixels: np.ndarray, size: int, device: torch.device) -> None:
        self.pixels, self.size, self.device = pixels, size, device
        self.resident = self._load() if _fits(pixels, size, device) else None

    def gather(self, rows: np.ndarray) -> torch.Tensor:
        """Return rows (B, 3, size, size) uint8."""
        if self.resident is not None:
            return self.resident.index_select(0, torch.from_numpy(rows).to(self.device))
        return self._scaled(self.pixels[rows])

    def _load(self) -> torch.Tensor:
        resident = torch.empty((len(self.pixels), 3, self.size, self.size), dtype=torch.uint8, device=self.device)
        for start in range(0, len(self.pixels), CHUNK):
            resident[start : start + CHUNK] = self._scaled(self.pixels[start : start + CHUNK])
        return resident

    def _scaled(self, stored: np.ndarray) -> torch.Tensor:
        return to_pixels(torch.from_numpy(np.ascontiguousarray(stored)).to(self.device), self.size)


def _fits(pixels: np.ndarray, size: int, device: torch.device) -> bool:
    """Return whether all images at the network's size take under half of what is free on a CUDA device.

    On the CPU they stay where they are, memory-mapped.
    """
    if device.type != "cuda":
        return False
    return len(pixels) * 3 * size * size < torch.cuda.mem_get_info(device)[0] / 2
