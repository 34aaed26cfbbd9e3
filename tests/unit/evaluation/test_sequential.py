"""Comparisons after several looks at a growing number of seeds."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from reidflow.evaluation.sequential import chance_of_verdict, compare_looks, shares
from reidflow.evaluation.statistics import compare

LOOKS = (3, 5, 7, 10)


def draw(seed: int, shift: float = 0.0, seeds: int = 10, noise: float = 0.03) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(seed))
    identity, training = rng.normal(0, 0.02, (20, 1)), rng.normal(0, 0.01, (1, seeds))
    return shift + identity + training + rng.normal(0, noise, (20, seeds))


def numbers(comparison):
    return [value for value in dataclasses.astuple(comparison) if not isinstance(value, str)]


def test_the_looks_share_the_level_by_the_square_of_their_seeds():
    assert shares(LOOKS) == pytest.approx([0.09, 0.16, 0.24, 0.51])
    assert shares([2, 4]) == pytest.approx([0.25, 0.75])
    assert sum(shares([3, 4, 6, 9, 11])) == pytest.approx(1)


def test_one_look_is_the_comparison_without_looks():
    arms = {"up": draw(0, 0.05), "same": draw(1), "down": draw(2, -0.02)}
    found, plain = compare_looks(arms, [10]), compare(arms)
    assert {arm: found[arm].verdict for arm in arms} == {arm: plain[arm].verdict for arm in arms}
    for arm in arms:
        assert numbers(found[arm]) == pytest.approx(numbers(plain[arm]), rel=1e-12)


def test_an_arm_is_judged_at_its_look_by_the_look_s_share_of_the_level():
    arms = {"clear": draw(0, 0.2)[:, :3], "slow": draw(1, 0.05, noise=0.12)}
    found = compare_looks(arms, LOOKS)
    first = compare({arm: values[:, :3] for arm, values in arms.items()}, level=0.05 * 0.09)
    assert found["clear"].verdict == first["clear"].verdict == "better" and first["slow"].verdict == "inconclusive"
    assert (found["clear"].low, found["clear"].high) == (first["clear"].low, first["clear"].high)
    assert found["clear"].p_adjusted == pytest.approx(min(first["clear"].p_adjusted / 0.09, 1))
    # What is better has left the family: the last look has its share for the other arm alone.
    last = compare({"slow": arms["slow"]}, level=0.05 * 0.51)["slow"]
    assert (found["slow"].low, found["slow"].high) == (last.low, last.high)
    assert found["slow"].p_adjusted == pytest.approx(min(last.p_adjusted / 0.51, 1))


def at(p: float, seeds: int) -> np.ndarray:
    """Return differences with seeds that change nothing, whose t test over identities has this p value."""
    one = np.random.Generator(np.random.PCG64(3)).normal(0, 0.02, (16, 1))
    one -= one.mean()
    return np.repeat(one + stats.t.isf(p / 2, 15) * one.std(ddof=1) / 4, seeds, axis=1)


def test_an_arm_that_was_left_early_still_counts_and_one_that_is_better_does_not():
    """By hand, at the second of two looks (3.75 %): thresholds are the share over the arms that are not rejected yet."""
    share = 0.05 * 0.75
    for second, verdict in ((share / 2 * 0.98, "better"), (share / 2 * 1.02, "inconclusive")):
        arms = {"left": at(0.9, 2), "first": at(share / 3 * 0.98, 4), "second": at(second, 4)}
        found = compare_looks(arms, [2, 4])
        assert [found[arm].verdict for arm in arms] == ["inconclusive", "better", verdict]
        assert found["second"].p_adjusted == pytest.approx(2 * second / 0.75, rel=1e-3)
    arms = {"left": at(0.9, 2), "first": at(share / 3 * 1.02, 4), "second": at(share / 2 * 0.98, 4)}
    assert {one.verdict for one in compare_looks(arms, [2, 4]).values()} == {"inconclusive"}


def test_by_hand_two_looks_at_two_arms():
    """Seeds that change nothing leave a t test over identities: Holm's levels at the look's share of 5 %."""
    first, rest = 0.05 * 0.25, 0.05 * 0.75
    for p, verdict in ((first / 2 * 0.98, "better"), (first / 2 * 1.02, "inconclusive")):
        found = compare_looks({"arm": at(p, 2), "other": at(0.9, 2)}, [2, 4])["arm"]
        assert found.verdict == verdict
        assert found.p_adjusted == pytest.approx(2 * p / 0.25, rel=1e-3)
    for p, verdict in ((rest / 2 * 0.98, "better"), (rest / 2 * 1.02, "inconclusive")):
        assert compare_looks({"arm": at(p, 4), "other": at(0.9, 4)}, [2, 4])["arm"].verdict == verdict


def test_verdict_interval_and_corrected_p_agree_at_every_look():
    verdicts = set()
    for case in range(60):
        rng = np.random.Generator(np.random.PCG64(case))
        arms = {f"arm{k}": draw(100 * case + k, rng.normal(0, 0.05)) for k in range(int(rng.integers(1, 6)))}
        trained = {arm: int(rng.choice(LOOKS)) for arm in arms}
        for found in compare_looks({arm: values[:, : trained[arm]] for arm, values in arms.items()}, LOOKS).values():
            verdicts.add(found.verdict)
            assert (found.verdict == "inconclusive") == (found.low <= 0 <= found.high) == (found.p_adjusted > 0.05)
    assert verdicts == {"better", "worse", "inconclusive"}


def test_what_was_decided_stays_as_it_was_when_others_get_more_seeds():
    arms = {f"arm{k}": draw(k, 0.02 * k) for k in range(6)}
    trained = dict.fromkeys(arms, LOOKS[0])
    known: dict = {}
    for look, seeds in enumerate(LOOKS):
        found = compare_looks({arm: values[:, : trained[arm]] for arm, values in arms.items()}, LOOKS)
        assert all(found[arm] == known[arm] for arm in known)
        known |= {arm: one for arm, one in found.items() if one.verdict != "inconclusive"}
        more = [arm for arm in arms if arm not in known]
        trained |= dict.fromkeys(more, LOOKS[min(look + 1, 3)])
        assert all(trained[arm] <= seeds for arm in known)
    assert len(set(trained.values())) > 2, "the case is to have arms decided at different looks"


def test_columns_without_a_value_are_seeds_that_were_not_trained():
    arm = draw(4, 0.02, noise=0.1)
    gaps = np.where(np.arange(10) < 5, arm, np.nan)
    assert compare_looks({"arm": gaps}, LOOKS) == compare_looks({"arm": arm[:, :5]}, LOOKS)


def test_an_arm_with_nothing_to_judge_by_is_inconclusive():
    found = compare_looks({"none": np.full((4, 10), np.nan), "other": draw(1, 0.3)}, LOOKS)
    assert found["none"].verdict == "inconclusive" and (found["none"].low, found["none"].high) == (-1, 1)
    assert found["other"].verdict == "better"


def test_the_chance_of_a_verdict_is_that_of_a_mean_that_goes_on_as_it_began():
    """Against draws of the last mean: seeds still to come scatter around the present mean as those so far do."""
    values = draw(6, 0.01, seeds=3, noise=0.05)
    seed_means = values.mean(axis=0)
    residual = values - values.mean(axis=1, keepdims=True) - seed_means + values.mean()
    per_seed = max(seed_means.var(ddof=1), (residual**2).sum() / 38 / 20)
    by_identity = values.mean(axis=1).var(ddof=1) - (residual**2).sum() / 38 / 3
    half = stats.norm.isf(0.05 * 0.51 / 4 / 2) * np.sqrt(max(by_identity, 0) / 20 + per_seed / 10)
    rng = np.random.Generator(np.random.PCG64(1))
    # The mean of all seeds moves by the difference of two nested means, of variance per_seed (1 / 3 - 1 / 10).
    last = values.mean() + rng.normal(0, 1, 200_000) * np.sqrt(per_seed * (1 / 3 - 1 / 10))
    assert chance_of_verdict(values, LOOKS, 4) == pytest.approx((np.abs(last) > half).mean(), abs=0.005)


def test_more_seeds_are_worth_nothing_where_identities_decide_and_all_where_the_difference_is_clear():
    identities = np.random.Generator(np.random.PCG64(2)).normal(0, 0.1, (20, 1))
    assert chance_of_verdict(identities - identities.mean() + draw(1, seeds=3) / 50, LOOKS, 3) < 0.01
    assert chance_of_verdict(draw(1, 0.2, seeds=3), LOOKS, 3) > 0.99
    assert chance_of_verdict(np.zeros((5, 3)), LOOKS, 3) == 0
    assert chance_of_verdict(np.full((5, 3), 0.1), LOOKS, 3) == 1
