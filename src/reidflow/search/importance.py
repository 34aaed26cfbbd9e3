"""How much each axis of a search decides: PED-ANOVA and fANOVA, through Optuna, beside what chance alone would give.

PED-ANOVA (Watanabe, Bansal and Hutter, IJCAI 2023): how differently an axis is distributed among the best trials and among
all of them (Pearson divergence); axes are compared by their shares of the sum. fANOVA (Hutter, Hoos and Leyton-Brown, ICML
2014): the share of the variance over the space that an axis explains by itself, in a random forest fitted to the trials.
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from optuna.trial import create_trial

from reidflow.spec.search import Axis
from reidflow.spec.seeds import seed_for

FEWEST = 25
"""Below so many trials nothing is said: the best fifth would hold fewer than five."""
BEST = 0.2
"""The share of the trials that counts as the best part."""
SHUFFLES = 99


@dataclass(frozen=True)
class Importance:
    """What one axis decides.

    share: PED-ANOVA: of the sum over the axes; fANOVA: of the variance, what is missing to one being interactions.
    chance: the share of shuffled trials in which the axis looks at least as important; None where it was not tried.
    """

    axis: str
    share: float
    chance: float | None


def ped_anova(
    axes: Sequence[Axis], settings: Sequence[Mapping[str, Any]], values: Sequence[float], seed: int
) -> list[Importance]:
    """Return what each axis contributes to getting into the best fifth, in the order of the axes; [] for too few trials.

    settings: of each trial, axis -> number or label. values: of each trial, more is better. seed: of the shuffling.
    """
    if not _enough(axes, values):
        return []
    study = _study(axes, settings, values)
    generator = np.random.default_rng(seed_for(seed, "importance", "ped_anova"))
    found = _divergences(axes, study, values)
    shuffled = [_divergences(axes, study, generator.permutation(values)) for _ in range(SHUFFLES)]
    whole = sum(found.values())
    return [
        Importance(
            axis.name,
            found[axis.name] / whole if whole else 0.0,
            (1 + sum(other[axis.name] >= found[axis.name] for other in shuffled)) / (1 + SHUFFLES),
        )
        for axis in axes
    ]


def fanova(
    axes: Sequence[Axis], settings: Sequence[Mapping[str, Any]], values: Sequence[float], seed: int
) -> list[Importance]:
    """Return the share of the variance that each axis explains by itself, in the order of the axes; [] for too few trials.

    settings: of each trial, axis -> number or label. values: of each trial. seed: of the forest.
    """
    if not _enough(axes, values):
        return []
    forest = FanovaImportanceEvaluator(seed=seed_for(seed, "importance", "fanova") % 2**32)
    found = forest.evaluate(_study(axes, settings, values), params=[axis.name for axis in axes])
    return [Importance(axis.name, float(found[axis.name]), None) for axis in axes]


def _enough(axes: Sequence[Axis], values: Sequence[float]) -> bool:
    return len(axes) > 1 and len(values) >= FEWEST and len(set(values)) > 1


def _divergences(axes: Sequence[Axis], study: optuna.Study, values: Sequence[float]) -> dict[str, float]:
    """Return how differently each axis is distributed among the best trials, were `values` theirs."""
    evaluator = PedAnovaImportanceEvaluator(target_quantile=BEST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says of every target that lower is better, hence the sign
        found = evaluator.evaluate(study, [axis.name for axis in axes], target=lambda trial: -values[trial.number])
    return {axis.name: float(found[axis.name]) for axis in axes}


def _study(axes: Sequence[Axis], settings: Sequence[Mapping[str, Any]], values: Sequence[float]) -> optuna.Study:
    """Return the trials as a study in memory; ranges over factors by their logarithm, which fANOVA would not take."""
    distributions = {axis.name: _distribution(axis) for axis in axes}
    with _silent():
        study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            create_trial(
                params={axis.name: _value(axis, each[axis.name]) for axis in axes},
                distributions=distributions,
                value=float(value),
            )
            for each, value in zip(settings, values, strict=True)
        ]
    )
    return study


def _distribution(axis: Axis) -> BaseDistribution:
    if axis.kind == "choice":
        return CategoricalDistribution(axis.labels)
    return FloatDistribution(_scaled(axis, axis.low), _scaled(axis, axis.high))


def _value(axis: Axis, value: Any) -> Any:
    if axis.kind == "choice":
        return str(value)
    return min(max(_scaled(axis, value), _scaled(axis, axis.low)), _scaled(axis, axis.high))


def _scaled(axis: Axis, value: float) -> float:
    return math.log(value) if axis.log else float(value)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep Optuna from reporting each study that exists for a moment only."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
