"""Epochs of a length of their own: the batches of a sampler, cut anew."""

from typing import Any

import numpy as np


class Recut:
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
