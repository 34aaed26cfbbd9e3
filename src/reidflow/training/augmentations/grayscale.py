"""The colours taken away."""

import torch

from reidflow.training.augmentations._parameters import Augmentation, Draws, Masks, on_rows


def build(size: int, *, p: float = 0.1) -> Augmentation:
    """Return the conversion to grey (three equal channels), done with probability p: pattern before colour.

    Camera traps see grey at night.
    """
    from kornia.color import rgb_to_grayscale

    def augment(images: torch.Tensor, masks: Masks, draws: Draws) -> tuple[torch.Tensor, Masks]:
        def change(rows: torch.Tensor, _index: object) -> torch.Tensor:
            return rgb_to_grayscale(rows).expand_as(rows)

        return on_rows(images, draws.chance(p), change), masks

    return augment
