"""Identities equally likely, whatever the number of their images."""

import numpy as np

from reidflow.training.samplers._batches import Batches, members


def build(labels: np.ndarray, seed: int, *, batch: int = 32) -> Batches:
    """Return epochs of ceil(N / `batch`) batches for `labels` (N,); each image is drawn in two steps, with replacement.

    First an identity, all being equally likely, then one of its images. A batch has min(N, `batch`) images.
    """
    groups = members(labels)
    sizes = np.array([len(group) for group in groups])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    flat = np.concatenate(groups)
    steps, size = -(-len(labels) // batch), min(batch, len(labels))

    def draw(generator: np.random.Generator) -> list[np.ndarray]:
        identity = generator.integers(len(groups), size=(steps, size))
        image = (generator.random((steps, size)) * sizes[identity]).astype(np.int64)
        return list(flat[starts[identity] + image])

    return Batches(seed, steps, draw)
