"""How many epochs a run has, and how large the images are in each of them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from reidflow.spec.errors import ReidflowError
from reidflow.spec.run import RunSpec


class ResizingStages:
    """The epochs of a run, divided into stages of one image size each where its spec has them.

    With `matched: flops` a run has as many epochs as bring its training FLOPs nearest to those of `spec.epochs` at
    `model.size`, the fewer of two that are as near.
    """

    def __init__(self, spec: RunSpec, flops: Callable[[int], int]) -> None:
        """flops: returns the FLOPs of one forward pass of one image of a size; called only where FLOPs are matched.

        Raises ReidflowError where there are fewer epochs than stages.
        """
        stages = spec.resizing.stages if spec.resizing else []
        self.sizes = spec.stage_sizes() or [spec.model.size]
        shares = [stage.share for stage in stages] or [1.0]
        if stages and spec.resizing.matched == "flops":
            costs = [flops(size) for size in self.sizes]
            self.lengths = _nearest(shares, self.sizes, costs, spec.epochs * flops(spec.model.size))
        elif spec.epochs < len(shares):
            raise ReidflowError(
                f"epochs: {spec.epochs} are too few for {len(shares)} stages of 'resizing', each of which takes one at "
                "least. Give more epochs, or fewer stages."
            )
        else:
            self.lengths = split(spec.epochs, shares, self.sizes)

    @property
    def epochs(self) -> int:
        """The number of epochs of the whole run."""
        return sum(self.lengths)

    def size(self, number: int) -> int:
        """Return the side of the images in epoch `number`, counted from 1, pixels."""
        past = 0
        for size, length in zip(self.sizes, self.lengths, strict=True):
            past += length
            if number <= past:
                return size
        raise ReidflowError(f"epoch {number} is after the last one, {past}.")


def split(epochs: int, shares: list[float], sizes: list[int]) -> list[int]:
    """Return whole epochs in the proportion of `shares`, by largest remainder, one at least.

    Of equal remainders that of the smaller images counts first, so that the same stages in another order are as long.
    An epoch for a stage that would have none is taken from the longest.
    """
    exact = [epochs * share for share in shares]
    whole = [int(value + 1e-9) for value in exact]
    order = sorted(range(len(shares)), key=lambda i: (round(whole[i] - exact[i], 6), sizes[i], i))
    for i in order[: epochs - sum(whole)]:
        whole[i] += 1
    for i, length in enumerate(whole):
        if length == 0:
            whole[whole.index(max(whole))] -= 1
            whole[i] = 1
    return whole


def _nearest(shares: list[float], sizes: list[int], costs: list[int], wanted: int) -> list[int]:
    """Return the lengths of the stages whose epochs together cost nearest to `wanted`."""
    most = wanted // min(costs) + len(shares) + 1
    candidates = [split(epochs, shares, sizes) for epochs in range(len(shares), most + 1)]
    return min(candidates, key=lambda lengths: abs(wanted - sum(n * c for n, c in zip(lengths, costs, strict=True))))


class MatchedEpochs:
    """The batches of a sampler's consecutive epochs, given out `steps` at a time.

    So that a run on fewer images takes as many optimizer steps an epoch, and as many in all, as one on all of them.
    """

    def __init__(self, sampler: Any, steps: int) -> None:
        self.sampler, self.steps = sampler, steps

    def epoch(self, number: int) -> list[np.ndarray]:
        """Return the batches of epoch `number`, counted from 1: arrays of positions in the sampler's labels."""
        first = (number - 1) * self.steps
        own, batches = self.sampler.steps, []
        for whole in range(first // own, (first + self.steps - 1) // own + 1):
            drawn = self.sampler.epoch(whole + 1)
            batches += [batch for i, batch in enumerate(drawn, whole * own) if first <= i < first + self.steps]
        return batches
