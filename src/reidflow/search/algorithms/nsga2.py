"""NSGA-II: the highest mAP at the lowest FLOPs. Deb et al. 2002, A fast and elitist multiobjective genetic algorithm:
NSGA-II. Library: optuna.
"""

from optuna.samplers import NSGAIISampler

from reidflow.search.algorithms._space import Algorithm, Space, generation_seed


def build(
    space: Space, seed: int, generation: int, size: int, *, crossover: float = 0.9, mutation: float | None = None
) -> Algorithm:
    """Return the algorithm for a generation: children of the trials that no other one beats in both mAP and FLOPs.

    A generation of the study is one of the population. crossover: chance that a child has two parents. mutation: chance
    of each axis to be resampled; none for one axis on average. A trial that was stopped early counts with the best mAP
    it reached.
    """
    sampler = NSGAIISampler(
        population_size=size,
        crossover_prob=crossover,
        mutation_prob=mutation,
        seed=generation_seed(seed, generation),
    )
    return Algorithm(sampler, ("value", "flops"))
