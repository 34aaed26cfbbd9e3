"""Points of a scrambled Sobol sequence. Bousquet et al. 2017, Critical hyper-parameters: no random, no cry. Library: scipy."""

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
from optuna.study import Study
from scipy.stats import qmc

from reidflow.search.algorithms._drawing import Drawing
from reidflow.search.algorithms._space import Algorithm, Space, value_at
from reidflow.spec.seeds import seed_for


def build(space: Space, seed: int, generation: int, size: int) -> Algorithm:
    """Return the algorithm for a generation: trial n is point n of one sequence, which fills all axes evenly.

    A choice takes a coordinate too, cut into equal parts. The sequence does not depend on the generation, so a longer
    study goes on with it.
    """
    return Algorithm(Sobol(space, seed))


class Sobol(Drawing):
    """Trial n is point n of the sequence; there is no state."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space)
        self.seed = seed_for(seed, "quasi_random")

    def draw(self, study: Study, number: int) -> dict[str, Any]:
        """Return the values of trial `number`, axis by axis."""
        point = points(len(self.space), self.seed, number // BLOCK)[number % BLOCK]
        return {name: value_at(axis, float(unit)) for (name, axis), unit in zip(self.space.items(), point, strict=True)}


BLOCK = 64


@lru_cache(None)
def points(axes: int, seed: int, block: int) -> np.ndarray:
    """Return points (64, axes) of the sequence from number 64 * `block` on."""
    engine = qmc.Sobol(axes, scramble=True, rng=np.random.default_rng(seed))
    if block:
        engine.fast_forward(block * BLOCK)
    with warnings.catch_warnings():
        # It warns of cuts that are no power of 2, which the budget of a study need not be.
        warnings.simplefilter("ignore", UserWarning)
        return engine.random(BLOCK)
