"""The image turned about its centre."""

from typing import Literal

import numpy as np
import torch

from reidflow.training.augmentations._parameters import Augmentation, Draws, Masks, check_range
from reidflow.training.augmentations._warp import warp


def build(
    size: int,
    *,
    degrees: float = 15.0,
    p: float = 1.0,
    fill: Literal["zeros", "border", "reflection"] = "reflection",
) -> Augmentation:
    """Return the rotation by a random angle up to `degrees` either way, done with probability p.

    Invariance to a tilted camera and a sloping ground.
    """
    check_range("rotation: degrees", -degrees, degrees, -180.0, 180.0)

    def augment(images: torch.Tensor, masks: Masks, draws: Draws) -> tuple[torch.Tensor, Masks]:
        chosen = draws.chance(p)
        angles = np.deg2rad(draws.uniform(-degrees, degrees))
        sources = np.zeros((len(draws), 3, 3))
        sources[:, 0, 0] = sources[:, 1, 1] = np.cos(angles)
        sources[:, 0, 1], sources[:, 1, 0] = -np.sin(angles), np.sin(angles)
        sources[:, 2, 2] = 1
        return warp(images, masks, chosen, sources, fill)

    return augment
