"""A random part of the image, resized to the whole (Szegedy et al., Going deeper with convolutions, 2015)."""

from typing import Literal

import numpy as np
import torch

from reidflow.training.augmentations._parameters import Augmentation, Draws, Masks, check_range
from reidflow.training.augmentations._warp import warp


def build(
    size: int,
    *,
    scale_low: float = 0.6,
    scale_high: float = 1.0,
    ratio_low: float = 0.75,
    ratio_high: float = 1.3333,
    p: float = 1.0,
    fill: Literal["zeros", "border", "reflection"] = "reflection",
) -> Augmentation:
    """Return the random resized crop, done with probability p: invariance to framing and distance.

    scale: share of the area that is kept; above 1 the image shrinks and `fill` surrounds it. ratio: width over height
    of the part, log-uniform. A part wider or higher than the image is cut at the border. Raises ReidflowError for
    falling ranges.
    """
    check_range("crop: scale", scale_low, scale_high, 0.01, 4.0)
    check_range("crop: ratio", ratio_low, ratio_high, 0.1, 10.0)
    largest = max(1.0, np.sqrt(scale_high))

    def augment(images: torch.Tensor, masks: Masks, draws: Draws) -> tuple[torch.Tensor, Masks]:
        chosen = draws.chance(p)
        area, ratio = draws.uniform(scale_low, scale_high), draws.log_uniform(ratio_low, ratio_high)
        width = np.minimum(np.sqrt(area * ratio), largest)
        height = np.minimum(np.sqrt(area / ratio), largest)
        sources = np.zeros((len(draws), 3, 3))
        sources[:, 0, 0], sources[:, 0, 2] = width, draws.uniform(-1, 1) * (1 - width)
        sources[:, 1, 1], sources[:, 1, 2] = height, draws.uniform(-1, 1) * (1 - height)
        sources[:, 2, 2] = 1
        return warp(images, masks, chosen, sources, fill)

    return augment
