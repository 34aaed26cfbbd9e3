"""Regularised evolution. Real et al. 2019, Regularized evolution for image classifier architecture search."""

from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from reidflow.search.algorithms._drawing import Drawing
from reidflow.search.algorithms._space import Algorithm, Space, generation_seed, unit_of, value_at
from reidflow.spec.seeds import seed_for


def build(
    space: Space,
    seed: int,
    generation: int,
    size: int,
    *,
    population: int = 20,
    tournament: int = 5,
    spread: float = 0.2,
) -> Algorithm:
    """Return the algorithm for a generation: mutants of good young trials.

    population: the youngest finished trials, all others have died; before there are as many, trials are drawn at random.
    tournament: how many of them are drawn, the best of which is the parent. The child differs from it in one axis: another
    choice, or a number moved by a normal step of `spread` times the range (of logarithms where the axis says so). A trial
    that was stopped early counts with the best mAP it reached.
    """
    return Algorithm(Evolution(space, generation_seed(seed, generation), population, tournament, spread))


class Evolution(Drawing):
    """Each trial draws with a generator of its own, seeded by its number."""

    def __init__(self, space: Space, seed: int, population: int, tournament: int, spread: float) -> None:
        super().__init__(space)
        self.seed, self.population, self.tournament, self.spread = seed, population, tournament, spread

    def draw(self, study: Study, number: int) -> dict[str, Any]:
        """Return the values of trial `number`, axis by axis."""
        generator = np.random.default_rng(seed_for(self.seed, number))
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        if len(finished) < self.population:
            return {name: value_at(axis, generator.random()) for name, axis in self.space.items()}
        drawn = generator.choice(self.population, min(self.tournament, self.population), replace=False)
        parent = max((finished[-self.population :][i] for i in sorted(drawn)), key=fitness)
        values = {name: parent.params[name] for name in self.space}
        mutated = list(self.space)[generator.integers(len(self.space))]
        values[mutated] = self._mutant(mutated, values[mutated], generator)
        return values

    def _mutant(self, name: str, value: Any, generator: np.random.Generator) -> Any:
        """Return another value of an axis."""
        axis = self.space[name]
        if hasattr(axis, "choices"):
            others = [choice for choice in axis.choices if choice != value]
            return others[generator.integers(len(others))]
        for _ in range(100):
            unit = (unit_of(axis, value) + self.spread * generator.normal()) % 2
            moved = value_at(axis, min(unit if unit < 1 else 2 - unit, np.nextafter(1, 0)))
            if moved != value:
                return moved
        return value_at(axis, generator.random())


def fitness(trial: FrozenTrial) -> float:
    """Return the mAP of a finished trial, or the best that a stopped one reached."""
    if trial.state is TrialState.COMPLETE:
        return trial.values[0]
    return max(trial.intermediate_values.values(), default=0.0)
