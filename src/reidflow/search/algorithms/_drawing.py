"""The frame of the project's own samplers: all axes at once, whatever was tried before."""

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from reidflow.search.algorithms._space import Space


class Drawing(BaseSampler):
    """Draws the values of all axes of `space` together: a subclass says how in `draw`."""

    def __init__(self, space: Space) -> None:
        self.space = {name: axis for name, axis in space.items() if not axis.single()}

    def draw(self, study: Study, number: int) -> dict[str, Any]:
        """Return the values of trial `number`, axis by axis."""
        raise NotImplementedError

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        """Return all axes between whose values there is a choice."""
        return self.space

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        """Return the values of a trial."""
        return self.draw(study, trial.number)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Raise KeyError: no axis is sampled alone."""
        raise KeyError(param_name)
