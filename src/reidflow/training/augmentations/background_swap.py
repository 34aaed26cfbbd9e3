"""The animal in front of another photograph's background."""

import numpy as np
import torch
from torch.nn import functional as F

from reidflow.spec.errors import ReidflowError
from reidflow.training.augmentations._parameters import Augmentation, Draws, Masks
from reidflow.training.mixing import Mixing

LEAST = 0.05  # share of the pixels that must be background for an image to lend its own


def build(size: int, mixing: Mixing, masks: bool, *, p: float = 0.5) -> Augmentation:
    """Return the exchange of the background, done with probability p: independence of place and habitat.

    The new background is that of another image of the batch, with the animal there filled in from its surroundings by
    averages of background pixels alone, so that no coat colour goes with it. The label stays. An image without a mask
    keeps its background and lends none.
    masks: whether any training image has one. Raises ReidflowError where none has.
    """
    if not masks:
        raise ReidflowError(
            "augmentation 'background_swap' must know where the animal is, and no training image has both a mask and a "
            "background. Give the images masks (as alpha channels or as files), or leave the augmentation out."
        )

    def augment(images: torch.Tensor, masks: Masks, draws: Draws) -> tuple[torch.Tensor, Masks]:
        chosen, order = draws.chance(p), draws.of_batch().permutation(len(images))
        if masks is None or len(images) < 2:
            return images, masks
        donors = np.empty_like(order)
        donors[order] = np.roll(order, 1)
        open_ = F.max_pool2d(masks, 3, stride=1, padding=1) == 0
        lends = (open_.float().mean(dim=(1, 2, 3)) >= LEAST).cpu().numpy()
        rows = np.flatnonzero(chosen & lends & lends[donors])
        if len(rows) == 0:
            return images, masks
        own = torch.from_numpy(rows).to(images.device)
        given = torch.from_numpy(donors[rows]).to(images.device)
        places = filled(images[given], open_[given].float())
        return images.index_copy(0, own, places + masks[own] * (images[own] - places)), masks

    return augment


def filled(images: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Return images (B, 3, H, W) in which what is not `seen` (B, 1, H, W; 1 or 0) is filled in from what is.

    Averages of the seen pixels over ever larger squares are spread back into the gaps, the smallest that holds any
    first (pull-push: Gortler et al., The lumigraph, SIGGRAPH 1996, section 4.4).
    """
    levels = [(images * seen, seen)]
    while max(levels[-1][1].shape[2:]) > 1:
        levels.append(tuple(F.avg_pool2d(plane, 2, ceil_mode=True) for plane in levels[-1]))
    sums, shares = levels.pop()
    result = sums / shares.clamp_min(1e-12)
    for sums, shares in reversed(levels):
        coarse = F.interpolate(result, size=sums.shape[2:], mode="bilinear", align_corners=False)
        result = sums + (1 - shares) * coarse
    return result
