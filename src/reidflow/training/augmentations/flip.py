"""Left and right exchanged."""

import torch

from reidflow.training.augmentations._parameters import Augmentation, Draws, Masks, on_rows


def build(size: int, *, p: float = 0.5) -> Augmentation:
    """Return the horizontal flip, done with probability p.

    It turns the left flank into a right one: an animal whose flanks differ gains a view that it never shows.
    """
    from kornia.geometry.transform import hflip

    def augment(images: torch.Tensor, masks: Masks, draws: Draws) -> tuple[torch.Tensor, Masks]:
        chosen = draws.chance(p)
        images = on_rows(images, chosen, lambda rows, _index: hflip(rows))
        return images, None if masks is None else on_rows(masks, chosen, lambda rows, _index: hflip(rows))

    return augment
