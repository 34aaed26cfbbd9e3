"""A rectangle of another image of the batch (Yun et al., CutMix, ICCV 2019, arXiv:1905.04899)."""

import math

import torch

from reidflow.training.augmentations._parameters import Augmentation, Draws, Masks, check_range
from reidflow.training.mixing import Mixed, Mixing


def build(size: int, mixing: Mixing, *, alpha: float = 1.0, p: float = 0.5) -> Augmentation:
    """Return CutMix, done to a batch with probability p: an animal is known by any part of it.

    As published, one rectangle and one permutation serve a batch: the rectangle's share of the area is 1 - Beta(alpha,
    alpha), its centre uniform, cropped to the image; the labels are mixed by the area. The masks of the
    pasted rectangle come along.
    """
    check_range("cutmix: alpha", alpha, alpha, 0.01, 100.0)

    def augment(images: torch.Tensor, masks: Masks, draws: Draws) -> tuple[torch.Tensor, Masks]:
        random = draws.of_batch()
        happens, side = random.random() < p, math.sqrt(1 - random.beta(alpha, alpha))
        (top, bottom), (left, right) = (_edges(random.random(), side, size) for _ in range(2))
        order = random.permutation(len(images))
        if not happens or mixing.mixed is not None:
            return images, masks
        partner = torch.from_numpy(order).to(images.device)
        mixing.mixed = Mixed(partner, 1 - (bottom - top) * (right - left) / size**2)

        def pasted(planes: torch.Tensor) -> torch.Tensor:
            planes = planes.clone()
            planes[:, :, top:bottom, left:right] = planes[partner, :, top:bottom, left:right]
            return planes

        return pasted(images), None if masks is None else pasted(masks)

    return augment


def _edges(centre: float, side: float, size: int) -> tuple[int, int]:
    """Return the first pixel of a stretch of `side` (share of the whole) about `centre`, and the one after its last."""
    middle, half = int(centre * size), int(side * size) // 2
    return max(middle - half, 0), min(middle + half, size)
