"""A rectangle painted over (Zhong et al., Random erasing data augmentation, AAAI 2020)."""

import numpy as np
import torch

from reidflow.training.augmentations._parameters import Augmentation, Draws, Masks, check_range, column, on_rows


def build(
    size: int,
    *,
    scale_low: float = 0.02,
    scale_high: float = 0.2,
    ratio_low: float = 0.3,
    ratio_high: float = 3.3,
    value: float = 0.5,
    p: float = 0.5,
) -> Augmentation:
    """Return the erasing of a rectangle, done with probability p: robustness to occluders in front of the animal.

    scale: share of the image's area. ratio: width over height, log-uniform. value: the paint, 0 (black) to 1 (white).
    """
    check_range("erasing: scale", scale_low, scale_high, 0.001, 1.0)
    check_range("erasing: ratio", ratio_low, ratio_high, 0.1, 10.0)
    check_range("erasing: value", value, value, 0.0, 1.0)

    def augment(images: torch.Tensor, masks: Masks, draws: Draws) -> tuple[torch.Tensor, Masks]:
        chosen = draws.chance(p)
        area, ratio = draws.uniform(scale_low, scale_high), draws.log_uniform(ratio_low, ratio_high)
        width, height = np.minimum(np.sqrt(area * ratio), 1), np.minimum(np.sqrt(area / ratio), 1)
        left, top = draws.uniform() * (1 - width), draws.uniform() * (1 - height)
        edges = np.stack([left, left + width, top, top + height], axis=1)

        def change(rows: torch.Tensor, index: np.ndarray) -> torch.Tensor:
            return torch.where(_inside(rows, edges[index]), torch.full_like(rows, value), rows)

        return on_rows(images, chosen, change), masks

    return augment


def _inside(rows: torch.Tensor, edges: np.ndarray) -> torch.Tensor:
    """Return which pixels have their centre in the rectangle (left, right, top, bottom; 0..1), bool (n, 1, H, W)."""
    left, right, top, bottom = (column(edges[:, k], rows)[:, None] for k in range(4))
    height, width = rows.shape[2:]
    x = (torch.arange(width, device=rows.device) + 0.5) / width
    y = (torch.arange(height, device=rows.device) + 0.5) / height
    across = (x >= left) & (x < right)
    down = (y >= top) & (y < bottom)
    return down[:, None, :, None] & across[:, None, None, :]
