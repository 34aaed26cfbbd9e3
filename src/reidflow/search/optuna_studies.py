"""In-memory Optuna studies of the earlier trials: proposals of a generation, and pruning."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from reidflow.search.algorithms._space import Algorithm, Space, clean
from reidflow.search.trial import PRUNED, Proposal, Trial
from reidflow.spec import components
from reidflow.spec.errors import ReidflowError
from reidflow.spec.search import Axis, Study, Value

DIRECTIONS = {"value": "maximize", "flops": "minimize"}


def space_of(study: Study) -> Space:
    """Return the axes of a study as optuna's distributions, choices by their labels."""
    return {axis.name: _distribution(axis) for axis in study.axes}


def sampler_view(study: Study, algorithm: Algorithm, earlier: Sequence[Trial]) -> optuna.Study:
    """Return a study of the earlier trials for the algorithm, with its objectives.

    Where there are several objectives none knows of trials that were stopped early: they count with what they reached.
    """
    several = len(algorithm.objectives) > 1
    view = _view([DIRECTIONS[objective] for objective in algorithm.objectives], sampler=algorithm.sampler)
    space = space_of(study)
    for trial in earlier:
        values = [_objective(study, trial, objective) for objective in algorithm.objectives]
        view.add_trial(_frozen(trial, space, values) if several else _alone(trial, space))
    return view


def pruner_view(study: Study, pruner: BasePruner, earlier: Sequence[Trial]) -> optuna.Study:
    """Return a study of the earlier trials for the pruner, which uses the mAP alone."""
    view = _view([DIRECTIONS["value"]], sampler=RandomSampler(seed=0), pruner=pruner)
    space = space_of(study)
    for trial in earlier:
        view.add_trial(_alone(trial, space))
    return view


def _view(directions: list[str], **parts: object) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(directions=directions, storage=optuna.storages.InMemoryStorage(), **parts)


def _alone(trial: Trial, space: Space) -> FrozenTrial:
    return _frozen(trial, space, None if trial.outcome["state"] == PRUNED else [trial.outcome["value"]])


def _frozen(trial: Trial, space: Space, values: list[float] | None) -> FrozenTrial:
    return create_trial(
        state=TrialState.PRUNED if values is None else TrialState.COMPLETE,
        values=values,
        params=trial.settings,
        distributions=space,
        system_attrs=trial.attributes,
        intermediate_values=trial.course,
    )


def _objective(study: Study, trial: Trial, objective: str) -> float:
    if objective == "value":
        return trial.reached
    found = trial.outcome[objective]
    if found is None:
        raise ReidflowError(
            f"study '{study.name}' of '{study.experiment}': the {objective} of trial {trial.number} are not known, and the "
            f"algorithm '{study.algorithm['name']}' needs them. Choose another algorithm."
        )
    return float(found)


def _distribution(axis: Axis) -> CategoricalDistribution | FloatDistribution | IntDistribution:
    if axis.kind == "choice":
        return CategoricalDistribution(axis.labels)
    if axis.kind == "int":
        step = axis.step or 1
        return IntDistribution(axis.low, axis.high - (axis.high - axis.low) % step, log=axis.log, step=step)
    if axis.step is None:
        return FloatDistribution(axis.low, axis.high, log=axis.log)
    steps = int((axis.high - axis.low) / axis.step + 1e-9)
    return FloatDistribution(axis.low, clean(axis.low + steps * axis.step), step=axis.step)


def propose(study: Study, generation: int, earlier: Sequence[Trial]) -> list[Proposal]:
    """Return the trials of a whole generation, whatever part of it the budget lets be trained.

    earlier: the finished trials of all earlier generations, in order.
    """
    space = space_of(study)
    algorithm: Algorithm = components.call(
        "algorithm", study.algorithm, space, study.seed, generation, study.generation
    )
    view = sampler_view(study, algorithm, earlier)
    for _ in range(study.generation):
        view.ask(space)
    proposed = view.get_trials(deepcopy=False)[len(earlier) :]
    return [
        Proposal({axis.name: _plain(axis, trial.params[axis.name]) for axis in study.axes}, dict(trial.system_attrs))
        for trial in proposed
    ]


def _plain(axis: Axis, value: object) -> Value:
    if axis.kind == "choice":
        return str(value)
    if axis.kind == "int":
        return int(value)
    return clean(float(value)) if axis.step else float(value)


class TrialPruner:
    """Decides after every epoch of one trial, in order, whether it ends there."""

    def __init__(self, study: Study, earlier: Sequence[Trial]) -> None:
        self._view = pruner_view(study, components.call("pruner", study.pruner), earlier)
        self._trial = self._view.ask()

    def __call__(self, epoch: int, value: float | None) -> bool:
        """Return whether a trial with this validation mAP after this epoch is stopped."""
        if value is None:
            return False
        self._trial.report(value, epoch)
        return self._trial.should_prune()

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of this trial that the pruner needs for later ones."""
        return dict(self._view.get_trials(deepcopy=False)[-1].system_attrs)


def stop_of(watcher: TrialPruner, course: Mapping[int, float | None]) -> int | None:
    """Return the epoch after which a trial of this course (epoch -> mAP) is stopped, or none."""
    return next((epoch for epoch, value in course.items() if watcher(epoch, value)), None)
