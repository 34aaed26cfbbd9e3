"""Every image once an epoch, in random order."""

import numpy as np

from reidflow.training.samplers._batches import Batches


def build(labels: np.ndarray, seed: int, *, batch: int = 32) -> Batches:
    """Return epochs in which every image of `labels` (N,) comes once, in ceil(N / `batch`) batches.

    The batches differ in size by at most one, so that no epoch ends with a batch of one image.
    """
    count = len(labels)
    steps = -(-count // batch)
    return Batches(seed, steps, lambda generator: np.array_split(generator.permutation(count), steps))
