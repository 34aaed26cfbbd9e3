import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from reidflow.evaluation.statistics import compare, holm, mean_difference, ties_with_best


def draw(seed: int, identities: int = 24, seeds: int = 3, shift: float = 0.0, scale: float = 0.02) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(seed))
    return shift + scale * (
        rng.standard_normal((identities, 1))
        + 0.5 * rng.standard_normal((1, seeds))
        + rng.standard_normal((identities, seeds))
    )


def mean_squares(values: np.ndarray) -> tuple[float, float, float]:
    """The table of a two-way analysis of variance, by its sums of squares."""
    identities, seeds = values.shape
    correction = values.sum() ** 2 / values.size
    by_identity = sum(row.sum() ** 2 for row in values) / seeds - correction
    by_seed = sum(column.sum() ** 2 for column in values.T) / identities - correction
    rest = (values**2).sum() - correction - by_identity - by_seed
    return (
        by_identity / (identities - 1),
        by_seed / (seeds - 1),
        rest / ((identities - 1) * (seeds - 1)),
    )


@pytest.mark.parametrize("seed", range(10))
def test_one_arm_follows_the_formula(seed):
    values = np.round(draw(seed, 9, 4, shift=0.01), 12)
    identity, by_seed, residual = mean_squares(values)
    variance = max(identity + by_seed - residual, residual)
    cautious = by_seed * 3 / stats.chi2.ppf(0.2, 3)
    freedom = min(
        max(identity + s - residual, residual) ** 2 / (identity**2 / 8 + s**2 / 3 + residual**2 / 24)
        for s in (by_seed, cautious)
    )
    freedom = max(freedom, 3)
    error = math.sqrt(variance / 36)
    found = compare({"arm": values})["arm"]
    half = stats.t.ppf(0.975, freedom) * error
    assert found.delta == pytest.approx(values.mean(), abs=1e-12)
    assert found.standard_error == pytest.approx(error, rel=1e-9)
    assert found.degrees_of_freedom == pytest.approx(freedom, rel=1e-9)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(values.mean()) / error, freedom), rel=1e-8)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-7)
    expected = (stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom)) * error
    assert found.smallest_detectable == pytest.approx(expected, rel=1e-7)


def test_holm_by_hand():
    corrected, levels = holm(np.array([0.03, 0.005, 0.04, 0.012]), 0.05)
    np.testing.assert_allclose(corrected, [0.06, 0.02, 0.06, 0.036])
    np.testing.assert_allclose(levels, [0.025, 0.0125, 0.025, 0.05 / 3])


def test_verdict_interval_and_corrected_p_never_disagree():
    rng = np.random.Generator(np.random.PCG64(8))
    verdicts = set()
    for case in range(400):
        arms = {
            f"arm{k}": draw(1000 * case + k, int(rng.integers(2, 30)), int(rng.integers(2, 7)), rng.normal(0, 0.02))
            for k in range(int(rng.integers(1, 12)))
        }
        for found in compare(arms).values():
            verdicts.add(found.verdict)
            assert (found.verdict == "inconclusive") == (found.low <= 0 <= found.high) == (found.p_holm > 0.05)
            assert found.verdict != "better" or found.low > 0
            assert found.verdict != "worse" or found.high < 0
            assert found.low <= found.delta <= found.high
            assert found.p <= found.p_holm <= 1
    assert verdicts == {"better", "worse", "inconclusive"}


def test_more_arms_make_it_harder():
    clear, noise = draw(1, shift=0.02), {f"noise{k}": draw(50 + k) for k in range(9)}
    alone, among = compare({"arm": clear})["arm"], compare({"arm": clear, **noise})["arm"]
    assert alone.p == among.p
    assert among.p_holm > alone.p_holm
    assert among.smallest_detectable > alone.smallest_detectable
    assert among.high - among.low > alone.high - alone.low


def test_smallest_detectable_is_at_the_strictest_level_for_every_arm():
    for found in compare({f"arm{k}": draw(k, shift=0.03 * k) for k in range(4)}).values():
        quantiles = stats.t.ppf([1 - 0.05 / 4 / 2, 0.8], found.degrees_of_freedom)
        assert found.smallest_detectable == pytest.approx(quantiles.sum() * found.standard_error, rel=1e-7)


def test_direction():
    found = compare({"up": draw(0, shift=0.2), "down": draw(1, shift=-0.2), "same": draw(2)})
    assert [found[arm].verdict for arm in found] == ["better", "worse", "inconclusive"]


UNKNOWN = {
    "one seed": draw(0, seeds=1, shift=0.3),
    "one identity": draw(0, identities=1, shift=0.3),
    "one value": np.array([[0.4]]),
    "nothing scored": np.full((4, 3), np.nan),
    "no identity": np.empty((0, 3)),
    "one identity scored": np.where(np.arange(5)[:, None] == 2, 0.3, np.full((5, 3), np.nan)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_has_no_spread_to_estimate_is_inconclusive_and_finite(name):
    found = compare({"arm": UNKNOWN[name], "other": draw(3)})["arm"]
    assert found.verdict == "inconclusive"
    assert (found.low, found.high, found.p_holm, found.degrees_of_freedom) == (-1, 1, 1, 0)
    assert all(math.isfinite(v) for v in dataclasses.astuple(found) if not isinstance(v, str))


def test_identical_arms_are_inconclusive_and_finite():
    scores = draw(0)
    rounding = (scores + 1e-15) - scores
    for differences in (np.zeros((24, 3)), rounding):
        found = compare({"arm": differences})["arm"]
        assert found.verdict == "inconclusive"
        assert (found.delta, found.low, found.high, found.p, found.p_holm) == (0, 0, 0, 1, 1)
        assert all(math.isfinite(v) for v in dataclasses.astuple(found) if not isinstance(v, str))


def test_seeds_that_change_nothing_leave_the_identities_to_speak():
    one = draw(4, seeds=1, shift=0.05)
    found = compare({"arm": np.repeat(one, 5, axis=1)})["arm"]
    reference = stats.ttest_1samp(one[:, 0], 0)
    assert found.p == pytest.approx(reference.pvalue, rel=1e-6)
    assert found.degrees_of_freedom == pytest.approx(23)


def test_identities_that_are_not_scored_are_left_out():
    full = draw(5, shift=0.01)
    gaps = np.concatenate([full, np.full((3, 3), np.nan), [[0.5, np.nan, 0.5]]])
    lost_seed = np.concatenate([full, np.full((24, 1), np.nan)], axis=1)
    assert compare({"arm": gaps}) == compare({"arm": lost_seed}) == compare({"arm": full})


def test_no_arms():
    assert compare({}) == {}
    assert ties_with_best({}) == []


def test_ties_with_best_is_paired():
    rng = np.random.Generator(np.random.PCG64(6))
    hardness = rng.uniform(0.2, 0.8, (24, 1))
    scores = {
        "low": hardness - 0.1 + 0.005 * rng.standard_normal((24, 3)),
        "best": hardness + 0.005 * rng.standard_normal((24, 3)),
        "close": hardness - 0.0003 + 0.005 * rng.standard_normal((24, 3)),
        "below": hardness - 0.03 + 0.005 * rng.standard_normal((24, 3)),
    }
    assert ties_with_best(scores) == ["best", "close"]
    scores["best"][0] = np.nan
    assert ties_with_best(scores) == ["best", "close"]
    assert ties_with_best({"only": hardness}) == ["only"]
    assert ties_with_best({arm: values[:, :1] for arm, values in scores.items()}) == list(scores)


def test_figures_do_not_depend_on_what_else_is_computed():
    values = np.stack([draw(k) for k in range(5)])
    together = mean_difference(values)
    for row, one in enumerate(values):
        alone = mean_difference(one)
        np.testing.assert_allclose([column[row] for column in together], [float(column) for column in alone])
