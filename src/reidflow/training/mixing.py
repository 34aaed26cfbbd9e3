"""How the images of a batch are mixed with each other.

An augmentation that takes `mixing` sees the whole batch: the one exception to the rule that what happens to an image
does not depend on its batch. Its random numbers are those of the batch: of the seed, the epoch and the images in it.
"""

from typing import NamedTuple

import torch


class Mixed(NamedTuple):
    """Image i of a batch is its own to a `share` and image `partner[i]`'s to the rest.

    partner: int64 (B,), on the device of the images. share: 0 to 1.
    """

    partner: torch.Tensor
    share: float


class Mixing:
    """How the augmentations mixed a batch: `mixed` says whose labels its images bear, None: their own.

    A batch is mixed once: the loss takes labels of two images, not of four. So of several augmentations that mix
    labels the first one that happens to a batch is the only one.
    """

    def __init__(self) -> None:
        self.mixed: Mixed | None = None
