"""Convex combinations of two images of the batch (Zhang et al., mixup, ICLR 2018, arXiv:1710.09412)."""

import torch

from reidflow.training.augmentations._parameters import Augmentation, Draws, Masks, check_range
from reidflow.training.mixing import Mixed, Mixing


def build(size: int, mixing: Mixing, *, alpha: float = 0.2, p: float = 1.0) -> Augmentation:
    """Return mixup, done to a batch with probability p: between two animals the embedding changes steadily.

    As published, one share, Beta(alpha, alpha), and one permutation serve a batch; the labels are mixed by the share.
    Of the masks remains what either image's animal covers.
    """
    check_range("mixup: alpha", alpha, alpha, 0.01, 100.0)

    def augment(images: torch.Tensor, masks: Masks, draws: Draws) -> tuple[torch.Tensor, Masks]:
        random = draws.of_batch()
        happens, share, order = random.random() < p, float(random.beta(alpha, alpha)), random.permutation(len(images))
        if not happens or mixing.mixed is not None:
            return images, masks
        partner = torch.from_numpy(order).to(images.device)
        mixing.mixed = Mixed(partner, share)
        images = share * images + (1 - share) * images[partner]
        return images, None if masks is None else torch.maximum(masks, masks[partner])

    return augment
