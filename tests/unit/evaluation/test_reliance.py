import numpy as np
import pytest
from scipy import stats

from reidflow.evaluation.reliance import compare_reliance, reliance, together
from reidflow.evaluation.statistics import mean_difference

IDENTITIES, SEEDS = 24, 3


def rng(*name: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(name)))


def draw(generator, truth, foreground=0.5, noise=0.08, shared=None):
    """Return background, foreground (I, S) and chance (I,) of an arm whose reliance is `truth`.

    Identities differ in how well either part of the image tells them apart, seeds too, and both at once; what `shared`
    draws, the arms have in common.
    """
    shared = shared or generator
    chance = 0.1 + 0.02 * shared.standard_normal(IDENTITIES)
    easy = 1.5 * noise * shared.standard_normal((IDENTITIES, 1))
    f, b = (
        noise * (generator.standard_normal((IDENTITIES, SEEDS)) + 0.3 * generator.standard_normal((1, SEEDS)))
        + noise * generator.standard_normal((IDENTITIES, 1))
        for _ in range(2)
    )
    f, b = foreground + easy + f, truth * (foreground + 0.5 * easy) + 0.7 * b
    return b + chance[:, None], f + chance[:, None], chance


def test_by_hand():
    """Foreground minus chance 0.4, 0.6; background minus chance 0.1, 0.2, 0.3, 0.2: r = 0.2 / 0.5."""
    chance = np.array([0.1, 0.2])
    foreground = np.array([[0.4, 0.4], [0.6, 0.6]]) + chance[:, None]
    background = np.array([[0.1, 0.2], [0.3, 0.2]]) + chance[:, None]
    found = reliance(background, foreground, chance, level=0.6)
    assert found.value == pytest.approx(0.4)
    influence = np.array([[0.1 - 0.16, 0.2 - 0.16], [0.3 - 0.24, 0.2 - 0.24]]) / 0.5
    assert found.influence == pytest.approx(influence)
    assert found.influence.sum() == pytest.approx(0, abs=1e-12)
    mean = mean_difference(influence)
    half = stats.t.ppf(0.7, mean.degrees_of_freedom) * mean.standard_error
    assert (found.low, found.high) == pytest.approx((0.4 - half, 0.4 + half))
    assert half > 0


def test_chance_counts_per_identity():
    """An identity whose positives are many is found by chance: that is not reliance."""
    generator = rng(1)
    chance = np.linspace(0.05, 0.6, IDENTITIES)
    noise = 1e-3 * generator.standard_normal((IDENTITIES, SEEDS))
    foreground = 0.7 * np.ones((IDENTITIES, SEEDS)) + 1e-3 * generator.standard_normal((IDENTITIES, SEEDS))
    found = reliance(chance[:, None] + noise, foreground, chance)
    assert found.value == pytest.approx(0, abs=0.01)
    assert found.low < 0 < found.high


def test_ends_of_the_scale():
    background, foreground, chance = draw(rng(2), 0.3)
    assert reliance(foreground, foreground, chance).value == pytest.approx(1)
    assert reliance(np.tile(chance[:, None], SEEDS), foreground, chance).value == pytest.approx(0)
    assert reliance(2 * foreground - chance[:, None], foreground, chance).high > 1
    assert reliance(background, foreground, chance).value == pytest.approx(0.3, abs=0.15)


def test_no_ratio_over_a_foreground_that_may_be_chance():
    background, foreground, chance = draw(rng(3), 0.3, foreground=0.0)
    found = reliance(background, foreground, chance)
    assert (found.value, found.low, found.high, found.influence) == (None, None, None, None)
    assert found.note == "the foreground alone is not above chance"
    below = reliance(background, foreground - 0.5, chance)
    assert below.value is None


def test_one_seed_or_one_identity_is_said_and_not_judged():
    background, foreground, chance = draw(rng(4), 0.3)
    for one in (
        reliance(background[:, :1], foreground[:, :1], chance),
        reliance(background[:1], foreground[:1], chance[:1]),
    ):
        assert one.value is None
        assert "one seed or one identity" in one.note


def test_what_is_not_defined_is_not_compared():
    known, unknown = reliance(*draw(rng(5), 0.3)), reliance(*draw(rng(6), 0.3, foreground=0.0))
    assert list(compare_reliance({"a": known, "b": unknown}, known)) == ["a"]
    assert compare_reliance({"a": known}, unknown) == {}


def test_an_arm_against_itself_does_not_differ():
    known = reliance(*draw(rng(5), 0.3))
    found = compare_reliance({"same": known}, known)["same"]
    assert (found.delta, found.low, found.high, found.verdict) == (0, 0, 0, "inconclusive")


def test_differences_above_one_keep_their_interval():
    """Nothing bounds a ratio: an interval cut off at 1 would deny a difference of 2."""
    background, foreground, chance = draw(rng(7), 0.1)
    far = reliance(background + 2.0 * 0.5, foreground, chance)
    found = compare_reliance({"far": far}, reliance(background, foreground, chance))["far"]
    assert found.delta > 1.5
    assert found.low < found.delta < found.high
    assert found.verdict == "better"


def test_a_planted_difference_is_found_and_signed():
    base = reliance(*draw(rng(8), 0.6, shared=rng(80)))
    arms = {"less": reliance(*draw(rng(9), 0.2, shared=rng(80))), "same": reliance(*draw(rng(10), 0.6, shared=rng(80)))}
    found = compare_reliance(arms, base)
    assert found["less"].verdict == "worse"
    assert found["less"].high < 0
    assert found["less"].low < -0.4 < found["less"].high + 0.2
    assert found["same"].verdict == "inconclusive"
    assert found["same"].low < 0 < found["same"].high


@pytest.mark.parametrize(("truth", "foreground"), [(0.0, 0.5), (0.5, 0.5), (0.9, 0.5), (0.5, 0.2)])
def test_intervals_cover_the_truth_and_equal_arms_seldom_differ(truth, foreground):
    draws, covered, wrong = 1500, 0, 0
    for k in range(draws):
        generator = rng(int(1000 * truth), int(1000 * foreground), k)
        noise = 0.16 * foreground
        shared = (int(1000 * truth), k, 1)
        one = reliance(*draw(generator, truth, foreground, noise, rng(*shared)))
        other = reliance(*draw(generator, truth, foreground, noise, rng(*shared)))
        covered += one.low <= truth <= one.high
        wrong += compare_reliance({"other": other}, one)["other"].verdict != "inconclusive"
    assert 0.93 <= covered / draws <= 0.985
    assert wrong / draws <= 0.07


def test_several_arms_together_are_their_mean():
    generator = rng(5)
    one, other, base = (reliance(*draw(generator, truth, shared=rng(7))) for truth in (0.2, 0.4, 0.8))
    pooled = together({"one": one, "other": other})
    assert pooled.value == pytest.approx((one.value + other.value) / 2)
    found = compare_reliance({"both": pooled}, base)["both"]
    differences = [arm.influence - base.influence + arm.value - base.value for arm in (one, other)]
    mean = mean_difference((differences[0] + differences[1]) / 2)
    assert found.delta == pytest.approx(float(mean.delta)) and found.verdict == "worse"
    assert found.standard_error == pytest.approx(float(mean.standard_error))
    assert together({"none": reliance(np.zeros((3, 2)), np.zeros((3, 2)), np.zeros(3))}).value is None
