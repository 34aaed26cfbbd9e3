"""P identities with K images each in every batch."""

import numpy as np

from reidflow.training.samplers._batches import Batches, members


def build(labels: np.ndarray, seed: int, *, identities: int = 8, images: int = 4) -> Batches:
    """Return epochs of batches with `identities` different identities and `images` images of each.

    An epoch shows about as many images as there are in `labels` (N,). Identities take turns: none comes a second time
    before all have come. The images of one take turns too; an identity with fewer than K images has some repeated, none
    more than once above another. With fewer than P identities, all are in every batch. Source: Hermans et al. 2017, arXiv:1703.07737.
    """
    groups = members(labels)
    per_batch = min(identities, len(groups))
    steps = -(-len(labels) // (per_batch * images))

    def draw(generator: np.random.Generator) -> list[np.ndarray]:
        turns = [_Turns(group, generator) for group in groups]
        order = _Turns(np.arange(len(groups)), generator)
        return [np.concatenate([turns[i].take(images) for i in order.take(per_batch)]) for _ in range(steps)]

    return Batches(seed, steps, draw)


class _Turns:
    """Gives out items in shuffled rounds; what is taken at once repeats no item unless there are too few."""

    def __init__(self, items: np.ndarray, generator: np.random.Generator) -> None:
        self.items, self.generator = items, generator
        self.queue = items[:0]

    def take(self, count: int) -> np.ndarray:
        taken = self.queue[:count]
        self.queue = self.queue[count:]
        while len(taken) < count:
            fresh = self.generator.permutation(self.items)
            partly = taken[len(taken) // len(self.items) * len(self.items) :]
            if len(partly):
                used = (fresh[:, None] == partly).any(axis=1)
                fresh = np.concatenate([fresh[~used], fresh[used]])
            missing = count - len(taken)
            taken, self.queue = np.concatenate([taken, fresh[:missing]]), fresh[missing:]
        return taken
