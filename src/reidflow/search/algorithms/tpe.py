"""Tree-structured Parzen estimator. Bergstra et al. 2011, Algorithms for hyper-parameter optimization. Library: optuna."""

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler

from reidflow.search.algorithms._space import Algorithm, Space, generation_seed


def build(space: Space, seed: int, generation: int, size: int, *, startup: int = 10, candidates: int = 24) -> Algorithm:
    """Return the algorithm for a generation: settings that good trials had more often than others, all axes jointly.

    startup: finished trials before which it draws at random. candidates: settings drawn from the good trials' density, of
    which the most promising one is taken. A trial of the same generation counts as a bad one (constant liar), so that
    those proposed together differ.
    """
    with warnings.catch_warnings():
        # Older versions of optuna call both options experimental.
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler = TPESampler(
            n_startup_trials=startup,
            n_ei_candidates=candidates,
            multivariate=True,
            constant_liar=True,
            seed=generation_seed(seed, generation),
        )
    return Algorithm(sampler)
