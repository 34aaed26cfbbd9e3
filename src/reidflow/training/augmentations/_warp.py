"""Images seen through a projective map of their own."""

import numpy as np
import torch

from reidflow.training.augmentations._parameters import Masks, column, on_rows


def warp(
    images: torch.Tensor, masks: Masks, chosen: np.ndarray, sources: np.ndarray, fill: str
) -> tuple[torch.Tensor, Masks]:
    """Return images and masks with the chosen rows resampled, bilinear (masks: nearest).

    sources: (B, 3, 3) float64, taking a place of the result to the place of the image shown there, both in
    coordinates that run from -1 to 1 between the centres of the outermost pixels, x before y.
    fill: what is seen beyond the border, `zeros`, `border` or `reflection`. Masks are 0 there unless reflected.
    """
    if not chosen.any():
        return images, masks
    images = on_rows(images, chosen, lambda rows, index: _resample(rows, sources[index], "bilinear", fill))
    if masks is not None:
        beyond = fill if fill == "reflection" else "zeros"
        masks = on_rows(masks, chosen, lambda rows, index: _resample(rows, sources[index], "nearest", beyond))
    return images, masks


def _resample(rows: torch.Tensor, sources: np.ndarray, mode: str, fill: str) -> torch.Tensor:
    from kornia.geometry.transform import homography_warp

    size = (rows.shape[2], rows.shape[3])
    matrices = column(sources, rows)
    return homography_warp(rows, matrices, size, mode=mode, padding_mode=fill, align_corners=True)
