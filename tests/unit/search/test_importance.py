"""Importances of axes, against planted truth."""

import numpy as np
import pytest

from reidflow.search.importance import FEWEST, fanova, ped_anova
from reidflow.spec.search import Axis

AXES = (
    Axis("rate", "float", low=1e-4, high=1e-1, log=True),
    Axis("width", "int", low=1, high=64),
    Axis("loss", "choice", ("a", "b", "c")),
    Axis("dropout", "float", low=0.0, high=0.5),
)


def trials(number: int, seed: int = 0) -> list[dict]:
    draw = np.random.default_rng(seed)
    return [
        {
            "rate": float(10 ** draw.uniform(-4, -1)),
            "width": int(draw.integers(1, 65)),
            "loss": str(draw.choice(["a", "b", "c"])),
            "dropout": float(draw.uniform(0, 0.5)),
        }
        for _ in range(number)
    ]


@pytest.mark.parametrize("evaluate", [ped_anova, fanova])
def test_an_axis_that_decides_everything_gets_nearly_all(evaluate):
    settings = trials(80)
    found = evaluate(AXES, settings, [-abs(np.log10(each["rate"]) + 2) for each in settings], 0)
    assert [each.axis for each in found] == [axis.name for axis in AXES]
    assert found[0].share > 0.9


def test_a_choice_that_decides_everything_explains_the_variance():
    settings = trials(80)
    found = {each.axis: each for each in fanova(AXES, settings, [float(e["loss"] == "b") for e in settings], 0)}
    assert found["loss"].share > 0.95


def test_the_logarithm_of_a_rate_counts_where_factors_do():
    """On the plain scale four fifths of the effect would be in a tenth of the range."""
    settings = trials(80)
    found = {each.axis: each for each in fanova(AXES, settings, [np.log10(e["rate"]) for e in settings], 0)}
    assert found["rate"].share > 0.95


def test_what_decides_is_told_from_chance_and_what_does_not_is_not():
    settings = trials(80)
    noise = np.random.default_rng(1).normal(0, 0.02, 80)
    values = [-abs(np.log10(each["rate"]) + 2) + n for each, n in zip(settings, noise, strict=True)]
    found = {each.axis: each.chance for each in ped_anova(AXES, settings, values, 0)}
    assert found["rate"] == 0.01
    assert min(found["width"], found["loss"], found["dropout"]) > 0.05


def test_chance_is_seldom_taken_for_an_effect():
    """Of 4 axes in 5 searches that nothing decides, one in twenty may look so."""
    found = []
    for seed in range(5):
        values = np.random.default_rng(100 + seed).uniform(size=40).tolist()
        found += [each.chance for each in ped_anova(AXES, trials(40, seed), values, 0)]
    assert sum(chance <= 0.05 for chance in found) <= 4
    assert np.mean(found) == pytest.approx(0.5, abs=0.25)


@pytest.mark.parametrize("evaluate", [ped_anova, fanova])
def test_nothing_is_said_of_few_trials_one_axis_or_equal_values(evaluate):
    settings = trials(60)
    few = settings[: FEWEST - 1]
    assert evaluate(AXES, few, [each["dropout"] for each in few], 0) == []
    assert evaluate(AXES[:1], settings, [each["rate"] for each in settings], 0) == []
    assert evaluate(AXES, settings, [0.5] * 60, 0) == []


@pytest.mark.parametrize("evaluate", [ped_anova, fanova])
def test_the_same_trials_give_the_same_bits(evaluate):
    settings = trials(40)
    values = [each["dropout"] for each in settings]
    assert evaluate(AXES, settings, values, 3) == evaluate(AXES, settings, values, 3)
