"""Independent draws. Bergstra and Bengio 2012, Random search for hyper-parameter optimization. Library: optuna."""

from optuna.samplers import RandomSampler

from reidflow.search.algorithms._space import Algorithm, Space, generation_seed


def build(space: Space, seed: int, generation: int, size: int) -> Algorithm:
    """Return the algorithm for a generation: every axis uniform in its range (of logarithms where it says so)."""
    return Algorithm(RandomSampler(seed=generation_seed(seed, generation)))
