"""The image seen from another place."""

from typing import Literal

import numpy as np
import torch

from reidflow.training.augmentations._parameters import Augmentation, Draws, Masks, check_range
from reidflow.training.augmentations._warp import warp

CORNERS = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


def build(
    size: int,
    *,
    strength: float = 0.2,
    p: float = 0.5,
    fill: Literal["zeros", "border", "reflection"] = "reflection",
) -> Augmentation:
    """Return the perspective change, done with probability p: invariance to the viewpoint.

    Each corner of the result shows a place that is moved from the image's corner by up to `strength` of the side,
    inwards or outwards, in either direction.
    """
    check_range("perspective: strength", 0.0, strength, 0.0, 0.45)

    def augment(images: torch.Tensor, masks: Masks, draws: Draws) -> tuple[torch.Tensor, Masks]:
        chosen = draws.chance(p)
        moves = np.stack([draws.uniform(-strength, strength) for _ in range(8)], axis=1)
        sources = homographies(CORNERS + 2 * moves.reshape(-1, 4, 2))
        return warp(images, masks, chosen, sources, fill)

    return augment


def homographies(corners: np.ndarray) -> np.ndarray:
    """Return the matrices (B, 3, 3) that take the corners of the square -1..1 to `corners` (B, 4, 2)."""
    x, y = CORNERS[:, 0], CORNERS[:, 1]
    count = len(corners)
    system, zero, one = np.zeros((count, 8, 8)), np.zeros(4), np.ones(4)
    u, v = corners[:, :, 0], corners[:, :, 1]
    system[:, :4, :6] = np.stack([x, y, one, zero, zero, zero], axis=1)
    system[:, 4:, :6] = np.stack([zero, zero, zero, x, y, one], axis=1)
    system[:, :4, 6], system[:, :4, 7] = -u * x, -u * y
    system[:, 4:, 6], system[:, 4:, 7] = -v * x, -v * y
    solved = np.linalg.solve(system, np.concatenate([u, v], axis=1)[..., None])[..., 0]
    return np.concatenate([solved, np.ones((count, 1))], axis=1).reshape(-1, 3, 3)
