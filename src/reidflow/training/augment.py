"""A list of augmentations applied in order, each image by its own random numbers."""

from collections.abc import Sequence
from typing import Any

import torch

from reidflow.spec.components import call, context
from reidflow.training.augmentations._parameters import draws_for
from reidflow.training.mixing import Mixed, Mixing


class Augment:
    """Augments a batch on its device; made by `make_augment`."""

    def __init__(self, specs: Sequence[dict[str, Any]], size: int, seed: int, masks: bool) -> None:
        self.seed, self.mixing = seed, Mixing()
        self.steps = []
        handed = {"size": size, "mixing": self.mixing, "masks": masks}
        counts: dict[str, int] = {}
        for spec in specs:
            name = spec["name"]
            counts[name] = counts.get(name, 0) + 1
            given = [handed[key] for key in context("augmentation", name)]
            self.steps.append(((name, counts[name]), call("augmentation", spec, *given)))

    def __call__(
        self, images: torch.Tensor, keys: Sequence[str], epoch: int, masks: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the images (B, 3, S, S) augmented, float in 0..255; unchanged where there is nothing to do.

        images: uint8, or float in 0..255. keys: a name per image. epoch: the epoch, or the view. masks: (B, 1, S, S)
        uint8 0/255, for augmentations that look at them.
        """
        return self.mixed(images, keys, epoch, masks)[0]

    @torch.no_grad()
    def mixed(
        self, images: torch.Tensor, keys: Sequence[str], epoch: int, masks: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, Mixed | None]:
        """Return the images augmented, and how they were mixed with each other, None where they were not."""
        if not self.steps:
            return images, None
        pixels = images.float() / 255
        seen = None if masks is None else masks.float() / 255
        draws = draws_for(self.seed, keys, epoch)
        self.mixing.mixed = None
        for name, step in self.steps:
            pixels, seen = step(pixels, seen, draws.named(*name))
        return pixels.mul(255).clamp_(0, 255), self.mixing.mixed


def make_augment(specs: Sequence[dict[str, Any]], size: int, seed: int, masks: bool = False) -> Augment:
    """Return a function of (images, keys, epoch, masks=None) that applies the resolved augmentation specs in order.

    What happens to an image depends on (seed, its key, epoch) and on the specs, not on the batch it is in, unless an
    augmentation mixes the images of a batch (training/mixing.py). Each augmentation has random numbers of its own, named
    after it: leaving one out changes nothing in what the others do. masks: whether there are any.
    Raises ReidflowError where an augmentation needs masks and there are none.
    """
    return Augment(specs, size, seed, masks)
