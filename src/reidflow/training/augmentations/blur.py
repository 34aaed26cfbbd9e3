"""A Gaussian blur."""

import math

import numpy as np
import torch

from reidflow.training.augmentations._parameters import Augmentation, Draws, Masks, check_range, column, on_rows


def build(size: int, *, sigma_low: float = 0.1, sigma_high: float = 2.0, p: float = 0.3) -> Augmentation:
    """Return the blur, done with probability p: invariance to motion and a missed focus.

    sigma: standard deviation in pixels of the image as the network sees it, log-uniform.
    """
    from kornia.filters import gaussian_blur2d

    check_range("blur: sigma", sigma_low, sigma_high, 0.05, size / 4)
    reach = min(math.ceil(3 * sigma_high), (size - 1) // 2)

    def augment(images: torch.Tensor, masks: Masks, draws: Draws) -> tuple[torch.Tensor, Masks]:
        chosen = draws.chance(p)
        sigmas = draws.log_uniform(sigma_low, sigma_high)

        def change(rows: torch.Tensor, index: np.ndarray) -> torch.Tensor:
            widths = column(np.stack([sigmas[index], sigmas[index]], axis=1), rows)
            return gaussian_blur2d(rows, (2 * reach + 1, 2 * reach + 1), widths)

        return on_rows(images, chosen, change), masks

    return augment
