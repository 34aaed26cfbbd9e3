import dataclasses
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from reidflow.evaluation.statistics import Family, compare, family_of, holm, mean_difference, ties_with_best
from reidflow.evaluation.variance import spread


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


def test_holm_is_that_of_statsmodels():
    rng = np.random.Generator(np.random.PCG64(3))
    for size in range(1, 9):
        p = rng.beta(0.3, 2, size)
        rejected, corrected, *_ = multipletests(p, 0.05, method="holm")
        found, levels = holm(p, 0.05)
        np.testing.assert_allclose(found, corrected)
        assert ((p <= levels) == rejected).all()


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
            assert (found.verdict == "inconclusive") == (found.low <= 0 <= found.high) == (found.p_adjusted > 0.05)
            assert found.verdict != "better" or found.low > 0
            assert found.verdict != "worse" or found.high < 0
            assert found.low <= found.delta <= found.high
            assert found.p <= found.p_adjusted <= 1
    assert verdicts == {"better", "worse", "inconclusive"}


def test_more_arms_make_it_harder():
    clear, noise = draw(1, shift=0.02), {f"noise{k}": draw(50 + k) for k in range(9)}
    alone, among = compare({"arm": clear})["arm"], compare({"arm": clear, **noise})["arm"]
    assert alone.p == among.p
    assert among.p_adjusted > alone.p_adjusted
    assert among.smallest_detectable > alone.smallest_detectable
    assert among.high - among.low > alone.high - alone.low


def test_smallest_detectable_of_two_arms_is_at_holms_strictest_level():
    for found in compare({f"arm{k}": draw(k, shift=0.03 * k) for k in range(2)}).values():
        quantiles = stats.t.ppf([1 - 0.05 / 2 / 2, 0.8], found.degrees_of_freedom)
        assert found.smallest_detectable == pytest.approx(quantiles.sum() * found.standard_error, rel=1e-7)


def test_factors_are_dunnetts_where_variances_are_known():
    """Two-sided 5 % points of Dunnett (Biometrics 1964), infinitely many degrees of freedom."""
    for arms, point in {1: 1.96, 2: 2.21, 3: 2.35, 4: 2.44, 5: 2.51, 6: 2.57, 7: 2.61, 8: 2.65, 9: 2.69}.items():
        family = Family(np.ones(arms), 10**7, np.ones(arms), np.full(arms, 1e7))
        assert family.factor(0.05) == pytest.approx(point, abs=0.005)


def test_the_probability_of_an_error_beyond_a_factor_is_that_of_draws():
    family = Family(np.full(3, 0.7), 2, np.array([1.0, 0.3, 2.0]), np.array([4.0, 20.0, 3.0]))
    rng = np.random.Generator(np.random.PCG64(2))
    shared = 0.7 * rng.standard_t(2, (400_000, 1))
    errors = np.abs(shared + family.own * rng.standard_t(family.own_freedom, (400_000, 3)))
    for factor in (1.0, 3.0, 6.0):
        expected = (errors > factor * family.borrowed).any(axis=1).mean()
        assert family.exceeded(factor) == pytest.approx(expected, abs=0.003)


def test_many_arms_borrow_the_variance_of_their_seeds():
    noise = {f"arm{k}": draw(k) for k in range(20)}
    found = compare(noise)
    alone = [compare({arm: values})[arm] for arm, values in noise.items()]
    holms = [2 * stats.t.isf(0.05 / 20 / 2, one.degrees_of_freedom) * one.standard_error for one in alone]
    assert np.median([one.high - one.low for one in found.values()]) < np.median(holms) / 2


def test_an_arm_that_is_noisier_than_the_others_keeps_its_own_standard_error():
    wild = draw(99) + 0.06 * np.array([[-1.0, 0.0, 1.0]])
    arms = {f"arm{k}": draw(k) for k in range(20)} | {"wild": wild}
    found = compare(arms)
    alone = {arm: compare({arm: values})[arm].standard_error for arm, values in arms.items()}
    assert found["wild"].standard_error == pytest.approx(alone["wild"])
    assert sum(found[arm].standard_error > 1.01 * alone[arm] for arm in arms) > 5  # the others borrow


def test_an_arm_that_hardly_differs_from_the_baseline_does_not_share_its_noise():
    baseline = 0.05 * np.random.Generator(np.random.PCG64(4)).standard_normal((1, 5))
    arms = {f"arm{k}": draw(k, seeds=5) - baseline for k in range(6)} | {"twin": draw(50, seeds=5, scale=1e-4)}
    found = compare(arms)
    widths = {arm: one.high - one.low for arm, one in found.items()}
    assert widths["twin"] < min(width for arm, width in widths.items() if arm != "twin") / 20


def test_borrowing_never_widens_the_median_interval():
    for case in range(40):
        rng = np.random.Generator(np.random.PCG64(case))
        noisy = [3.0, 1, 1, 1, 1]
        arms = {
            f"arm{k}": rng.standard_normal((20, 10)) + noisy[k] * rng.standard_normal((1, 10))
            for k in range(len(noisy))
        }
        found = compare(arms, largest=np.inf)
        means = [mean_difference(values) for values in arms.values()]
        holms = [stats.t.isf(0.05 / 5 / 2, mean.degrees_of_freedom) * mean.standard_error for mean in means]
        assert np.median([(one.high - one.low) / 2 for one in found.values()]) <= np.median(holms) * (1 + 1e-6)


def test_the_parts_of_a_family_by_hand():
    values = np.stack([draw(k, 15, 4, scale=0.02 * (k + 1)) for k in range(5)])
    squares = np.array([mean_squares(arm) for arm in values])
    by_seed = values.mean(axis=1)
    shared = by_seed.mean(axis=0).var(ddof=1) / 4
    apart = sum((seeds - by_seed.mean(axis=0)).var(ddof=1) for seeds in by_seed) / 4 * 5 / 4
    residual = squares[:, 2] / 60
    own = np.maximum(apart / residual.sum() * residual * 4 / 5, residual - shared)
    found = family_of(spread(values))
    assert found.common == pytest.approx(np.full(5, np.sqrt(shared)))
    assert found.own == pytest.approx(np.sqrt(np.maximum(squares[:, 0] / 60 - residual, 0) + own))


def test_an_arm_that_is_listed_twice_is_one_comparison():
    arms = {f"arm{k}": draw(k, shift=0.01 * k) for k in range(4)}
    found = compare({**arms, "again": arms["arm2"]})
    assert {arm: found[arm] for arm in arms} == compare(arms)
    assert found["again"] == found["arm2"]


def test_a_margin_makes_small_differences_equivalent():
    arms = {
        "same": draw(1, scale=0.002),
        "small": draw(2, shift=0.01, scale=0.002),
        "large": draw(3, shift=0.1, scale=0.003),
    }
    found = compare(arms, margin=0.02)
    assert [found[arm].verdict for arm in arms] == ["equivalent", "equivalent", "better"]
    assert compare(arms)["small"].verdict == "better"
    for arm, one in found.items():
        assert dataclasses.replace(one, verdict="") == dataclasses.replace(compare(arms)[arm], verdict="")


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
    assert (found.low, found.high, found.p_adjusted, found.degrees_of_freedom) == (-1, 1, 1, 0)
    assert all(math.isfinite(v) for v in dataclasses.astuple(found) if not isinstance(v, str))


def test_identical_arms_are_inconclusive_and_finite():
    scores = draw(0)
    rounding = (scores + 1e-15) - scores
    for differences in (np.zeros((24, 3)), rounding):
        found = compare({"arm": differences})["arm"]
        assert found.verdict == "inconclusive"
        assert (found.delta, found.low, found.high, found.p, found.p_adjusted) == (0, 0, 0, 1, 1)
        assert all(math.isfinite(v) for v in dataclasses.astuple(found) if not isinstance(v, str))


def test_seeds_that_change_nothing_leave_the_identities_to_speak():
    one = draw(4, seeds=1, shift=0.05)
    found = compare({"arm": np.repeat(one, 5, axis=1)})["arm"]
    reference = stats.ttest_1samp(one[:, 0], 0)
    assert found.p == pytest.approx(reference.pvalue, rel=1e-6)
    assert found.degrees_of_freedom == pytest.approx(23)


def test_identities_and_seeds_without_a_score_are_left_out():
    full = draw(5, shift=0.01)
    gaps = np.concatenate([full, np.full((3, 3), np.nan)])
    lost_seed = np.concatenate([full, np.full((24, 1), np.nan)], axis=1)
    assert compare({"arm": gaps}) == compare({"arm": lost_seed}) == compare({"arm": full})


def test_arms_with_fewer_seeds_are_a_family_with_its_share_of_the_level():
    few, many = {f"few{k}": draw(k, seeds=3) for k in range(4)}, {f"many{k}": draw(10 + k, seeds=5) for k in range(6)}
    found = compare({**few, **many}, level=0.05)
    for part in (few, many):
        share = len(part) / 10
        for arm, one in compare(part, level=0.05 * share).items():
            assert (found[arm].low, found[arm].high) == (one.low, one.high)
            assert found[arm].p_adjusted == pytest.approx(min(one.p_adjusted / share, 1))


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
