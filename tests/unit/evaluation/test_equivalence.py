"""Arms whose true difference is the margin itself are called equivalent as seldom as equal arms are called different."""

import numpy as np
import pytest

from reidflow.evaluation.statistics import compare

MARGIN, EXPERIMENTS = 0.02, 100
WORLDS = {"identities": (0.05, 0.002, 0.02), "seeds": (0.005, 0.004, 0.02), "residual": (0.0, 0.0, 0.05)}
"""Standard deviations of identities, seeds and what is left."""


def experiment(generator: np.random.Generator, world: str, arms: int, identities: int, seeds: int) -> dict:
    """Differences of arms that share a baseline, half of them truly the margin better and half as much worse."""
    parts = zip(WORLDS[world], ((identities, 1), (1, seeds), (identities, seeds)), strict=True)
    scores = sum(sd * generator.standard_normal((arms + 1, *shape)) for sd, shape in parts)
    return {str(a): scores[a] - scores[arms] + (MARGIN if a % 2 else -MARGIN) for a in range(arms)}


def share_equivalent(world: str, arms: int, identities: int, seeds: int, experiments: int) -> float:
    """The share of experiments in which an arm is called equivalent although it differs by the margin."""
    generator = np.random.default_rng(3)
    drawn = (experiment(generator, world, arms, identities, seeds) for _ in range(experiments))
    return float(np.mean([any(f.verdict == "equivalent" for f in compare(d, margin=MARGIN).values()) for d in drawn]))


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("arms", "seeds"), [(1, 5), (4, 3)])
def test_a_difference_of_the_margin_is_seldom_called_equivalent(world, arms, seeds):
    assert share_equivalent(world, arms, 100, seeds, EXPERIMENTS) <= 0.09


def test_equal_arms_are_called_equivalent_where_the_intervals_allow_it():
    generator = np.random.default_rng(4)
    scores = 0.05 * generator.standard_normal((20, 5, 100, 5))
    found = [compare(dict(zip("abcd", of[1:] - of[0], strict=True)), margin=MARGIN) for of in scores]
    verdicts = [one.verdict for arms in found for one in arms.values()]
    assert verdicts.count("equivalent") > 0.9 * len(verdicts)
