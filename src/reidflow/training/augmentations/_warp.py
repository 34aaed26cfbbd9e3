"""Images seen through a projective map of their own."""

import numpy as np
import torch
from torch.nn import functional as F

from reidflow.training.augmentations._parameters import Masks, column, on_rows


def warp(
    images: torch.Tensor, masks: Masks, chosen: np.ndarray, sources: np.ndarray, fill: str
) -> tuple[torch.Tensor, Masks]:
    """Return images and masks with the chosen rows resampled, bilinear (masks: nearest).

    sources: (B, 3, 3) float64, taking a place of the result to the place of the image shown there, both in
    coordinates that run from -1 to 1 between the centres of the outermost pixels, x before y.
    fill: what is seen beyond the border, `zeros`, `border` or `reflection`. Masks are 0 there unless reflected.
    """
    rows = np.flatnonzero(chosen)
    if len(rows) == 0:
        return images, masks
    grid = _grid(images, sources[rows])
    images = on_rows(images, chosen, lambda own, _index: _sampled(own, grid, "bilinear", fill))
    if masks is not None:
        beyond = fill if fill == "reflection" else "zeros"
        masks = on_rows(masks, chosen, lambda own, _index: _sampled(own, grid, "nearest", beyond))
    return images, masks


def _grid(images: torch.Tensor, sources: np.ndarray) -> torch.Tensor:
    """Return the place (n, H, W, 2) of the image that each pixel of the result shows; one grid serves image and mask."""
    from kornia.geometry.grid import create_meshgrid
    from kornia.geometry.transform import warp_grid

    height, width = images.shape[2:]
    plain = create_meshgrid(height, width, device=images.device, dtype=images.dtype)
    return warp_grid(plain, column(sources, images))


def _sampled(rows: torch.Tensor, grid: torch.Tensor, mode: str, fill: str) -> torch.Tensor:
    return F.grid_sample(rows, grid, mode=mode, padding_mode=fill, align_corners=True)
