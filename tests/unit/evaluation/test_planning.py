import numpy as np
import pytest

from reidflow.evaluation.planning import projected
from reidflow.evaluation.statistics import compare

WORLDS = {"identities dominate": (0.1, 0.005, 0.05), "seeds dominate": (0.02, 0.03, 0.03), "both": (0.05, 0.02, 0.05)}


def halves(identities: int, seeds: int, parts: tuple[float, ...], other: tuple[int, int] | None = None) -> float:
    """The median half width over experiments of three arms, or the one that is projected for other numbers."""
    generator, found = np.random.default_rng(1), []
    for _ in range(60):
        shapes = ((identities, 1), (1, seeds), (identities, seeds))
        arms = {arm: sum(generator.normal(0, p, s) for p, s in zip(parts, shapes, strict=True)) for arm in "abc"}
        for one in compare(arms).values():
            found.append(projected(one, (identities, seeds), other) if other else (one.high - one.low) / 2)
    return float(np.median(found))


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("other", [(24, 10), (48, 5)], ids=["seeds", "identities"])
def test_a_projected_half_width_is_that_of_experiments_of_that_size(world, other):
    assert halves(24, 5, WORLDS[world], other) == pytest.approx(halves(*other, WORLDS[world]), rel=0.15)


def test_the_projection_to_the_same_size_is_the_interval_itself():
    found = compare({"a": np.random.default_rng(2).normal(0, 0.1, (12, 4))})["a"]
    assert projected(found, (12, 4), (12, 4)) == pytest.approx((found.high - found.low) / 2, rel=1e-9)


def test_nothing_is_projected_from_no_spread_or_from_one_seed():
    assert projected(compare({"a": np.zeros((8, 3))})["a"], (8, 3), (8, 6)) is None
    assert projected(compare({"a": np.ones((8, 1)) * 0.1})["a"], (8, 1), (8, 2)) is None
