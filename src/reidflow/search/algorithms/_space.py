"""What every algorithm returns, and how a number in [0, 1) stands for a value of an axis."""

import math
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler

from reidflow.spec.seeds import seed_for

Space = dict[str, BaseDistribution]


@dataclass(frozen=True)
class Algorithm:
    """An Optuna sampler and the objectives that it sees of each finished trial: `value` is maximised, `flops` minimised."""

    sampler: BaseSampler
    objectives: tuple[str, ...] = ("value",)


def generation_seed(seed: int, generation: int) -> int:
    """Return the seed, 32 bits as numpy's older generators take, of what a generation draws."""
    return seed_for(seed, "generation", generation) % 2**32


def value_at(axis: BaseDistribution, unit: float) -> Any:
    """Return the value of an axis at `unit` in [0, 1): equal parts of [0, 1) for its choices or whole steps."""
    if isinstance(axis, CategoricalDistribution):
        return axis.choices[int(unit * len(axis.choices))]
    if isinstance(axis, IntDistribution) and not axis.log:
        return axis.low + axis.step * int(unit * ((axis.high - axis.low) // axis.step + 1))
    if isinstance(axis, FloatDistribution) and axis.step is not None:
        return clean(axis.low + axis.step * int(unit * (round((axis.high - axis.low) / axis.step) + 1)))
    low, high = _ends(axis)
    point = low + unit * (high - low)
    return _clipped(axis, math.exp(point) if axis.log else point)


def unit_of(axis: BaseDistribution, value: Any) -> float:
    """Return the number in [0, 1) in the middle of those that stand for `value`."""
    if isinstance(axis, CategoricalDistribution):
        return (axis.choices.index(value) + 0.5) / len(axis.choices)
    if isinstance(axis, IntDistribution) and not axis.log:
        return ((value - axis.low) // axis.step + 0.5) / ((axis.high - axis.low) // axis.step + 1)
    if isinstance(axis, FloatDistribution) and axis.step is not None:
        return (round((value - axis.low) / axis.step) + 0.5) / (round((axis.high - axis.low) / axis.step) + 1)
    low, high = _ends(axis)
    point = math.log(value) if axis.log else value
    return min((point - low) / (high - low), math.nextafter(1, 0)) if high > low else 0.0


def clean(value: float) -> float:
    """Return a number without the dust of adding steps up: 0.3 and not 0.30000000000000004."""
    return float(f"{value:.12g}")


def _ends(axis: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """Return the ends between which a number is drawn; a whole one is rounded, so it has half a step more."""
    margin = 0.5 if isinstance(axis, IntDistribution) else 0.0
    low, high = axis.low - margin, axis.high + margin
    return (math.log(low), math.log(high)) if axis.log else (low, high)


def _clipped(axis: FloatDistribution | IntDistribution, value: float) -> float | int:
    value = round(value) if isinstance(axis, IntDistribution) else value
    return min(max(value, axis.low), axis.high)
