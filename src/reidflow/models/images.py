"""From the image store's pixels to the pixels that a network sees."""

import numpy as np
import torch
from torch.nn import functional as F

from reidflow.spec.errors import ReidflowError


def to_pixels(images: np.ndarray | torch.Tensor, size: int) -> torch.Tensor:
    """Return stored images (B, S0, S0, 3) uint8 as (B, 3, size, size) uint8, made smaller where they are larger.

    Bilinear with antialiasing, computed in fp32 and rounded, so that what is trained on, what is embedded and what
    can be kept as uint8 on a device are the same pixels. A row does not depend on the rows beside it.
    Raises ReidflowError when the stored images are smaller than `size`.
    """
    stored = torch.from_numpy(np.ascontiguousarray(images)) if isinstance(images, np.ndarray) else images
    if stored.shape[1] < size:
        raise ReidflowError(
            f"the image store holds images of {stored.shape[1]} pixels, the model needs {size}. "
            "Rebuild the store at the largest size that any arm needs, or lower 'size'."
        )
    planes = stored.permute(0, 3, 1, 2)
    if stored.shape[1] == size:
        return planes.contiguous()
    smaller = F.interpolate(planes.float(), size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return smaller.round_().clamp_(0, 255).to(torch.uint8)
