"""What samplers share: the order of an epoch is a function of the seed and the epoch's number, nothing is carried on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reidflow.spec.seeds import seed_for


@dataclass(frozen=True)
class Batches:
    """The batches of each epoch: `steps` of them in every epoch, drawn by `draw` from the epoch's own generator."""

    seed: int
    steps: int
    draw: Callable[[np.random.Generator], list[np.ndarray]]

    def epoch(self, number: int) -> list[np.ndarray]:
        """Return the batches of epoch `number`: `steps` arrays of positions in the labels (int64)."""
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed_for(self.seed, "order", number))))
        return self.draw(generator)


def members(labels: np.ndarray) -> list[np.ndarray]:
    """Return for each identity, in the order of its label, the positions of its images."""
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]
