"""Brightness, contrast, saturation and hue changed, in this order."""

import numpy as np
import torch

from reidflow.training.augmentations._parameters import Augmentation, Draws, Masks, check_range, column, on_rows


def build(
    size: int,
    *,
    brightness: float = 0.2,
    contrast: float = 0.2,
    saturation: float = 0.2,
    hue: float = 0.02,
    p: float = 1.0,
) -> Augmentation:
    """Return the colour change, done with probability p: invariance to light, weather and camera.

    brightness, contrast and saturation: each is multiplied by a factor between 1 - x and 1 + x; contrast about the
    image's mean grey. hue: turned by up to this share of the colour circle either way.
    """
    for name, value in (("brightness", brightness), ("contrast", contrast), ("saturation", saturation)):
        check_range(f"colour: {name}", 0.0, value, 0.0, 1.0)
    check_range("colour: hue", 0.0, hue, 0.0, 0.5)

    def augment(images: torch.Tensor, masks: Masks, draws: Draws) -> tuple[torch.Tensor, Masks]:
        chosen = draws.chance(p)
        factors = [draws.uniform(1 - x, 1 + x) for x in (brightness, contrast, saturation)]
        turns = 2 * np.pi * draws.uniform(-hue, hue)

        def change(rows: torch.Tensor, index: np.ndarray) -> torch.Tensor:
            return _change(rows, [column(f[index], rows) for f in factors], column(turns[index], rows), hue > 0)

        return on_rows(images, chosen, change), masks

    return augment


def _change(rows: torch.Tensor, factors: list[torch.Tensor], turns: torch.Tensor, with_hue: bool) -> torch.Tensor:
    from kornia import enhance

    rows = enhance.adjust_brightness_accumulative(rows, factors[0])
    rows = enhance.adjust_contrast_with_mean_subtraction(rows, factors[1])
    rows = enhance.adjust_saturation_with_gray_subtraction(rows, factors[2])
    return enhance.adjust_hue(rows, turns) if with_hue else rows
