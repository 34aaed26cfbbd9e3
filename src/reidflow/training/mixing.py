"""How the images of a batch are mixed with each other."""

from typing import NamedTuple

import torch


class Mixed(NamedTuple):
    """Image i of a batch is its own to a `share` and image `partner[i]`'s to the rest.

    partner: int64 (B,), on the device of the images. share: 0 to 1.
    """

    partner: torch.Tensor
    share: float
