import numpy as np
import pytest

from reidflow.evaluation.bootstrap import improvement, profile


def scores(seed, shape, level=0.5):
    """Scores in steps of 0.05, so that there are ties, with an effect of identities and one of seeds."""
    generator = np.random.default_rng(seed)
    people, seeds = generator.normal(0, 0.1, (shape[0], 1)), generator.normal(0, 0.05, (1, shape[1]))
    return np.round((level + people + seeds + generator.normal(0, 0.1, shape)) * 20) / 20


def probability(arm, baseline, people, own, others):
    """The share of triples (identity, seed of the arm, seed of the baseline) that the arm wins, one by one."""
    won = 0.0
    for i in people:
        for s in own:
            for t in others:
                won += 1.0 if arm[i][s] > baseline[i][t] else 0.5 if arm[i][s] == baseline[i][t] else 0.0
    return won / (len(people) * len(own) * len(others))


def test_the_probability_of_improvement_counts_every_pair_of_seeds_and_ties_one_half():
    arm, baseline = scores(0, (12, 4), 0.55), scores(1, (12, 5))
    found = improvement(arm, baseline)
    assert found.value == pytest.approx(probability(arm, baseline, range(12), range(4), range(5)), abs=1e-12)
    assert improvement(baseline, arm).value == pytest.approx(1 - found.value, abs=1e-12)
    assert improvement(arm, arm).value == 0.5
    assert improvement(arm + 1, baseline).value == 1.0


def test_its_interval_is_that_of_a_bootstrap_of_one_identity_and_one_seed_fewer_drawn_by_hand():
    arm, baseline = scores(2, (9, 3), 0.53), scores(3, (9, 4))
    generator = np.random.default_rng(77)
    drawn = [probability(arm, baseline, *(generator.integers(n, size=n - 1) for n in (9, 3, 4))) for _ in range(4000)]
    found = improvement(arm, baseline, draws=20000)
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist(), abs=0.02)
    assert found.low < found.value < found.high
    same = improvement(arm, arm)
    assert same.low < 0.5 < same.high, "seeds of both are drawn independently"


def test_a_profile_is_the_share_of_identities_that_reach_a_threshold_with_a_band():
    table = scores(4, (40, 6))
    thresholds = (0.0, 0.45, 0.5, 0.55, 2.0)
    found = profile(table, thresholds, draws=20000)
    assert found.value.tolist() == pytest.approx([np.mean([v >= t for row in table for v in row]) for t in thresholds])
    generator = np.random.default_rng(5)
    drawn = [table[generator.integers(40, size=39)][:, generator.integers(6, size=5)] for _ in range(4000)]
    shares = np.array([[(values >= t).mean() for t in thresholds] for values in drawn])
    assert np.abs(np.array(found[1:]) - np.quantile(shares, [0.025, 0.975], axis=0)).max() < 0.02
    assert (found.low <= found.value).all() and (found.value <= found.high).all()


@pytest.mark.parametrize("shape", [(9, 2), (1, 5)])
def test_two_seeds_or_one_identity_give_no_interval(shape):
    table = scores(6, shape)
    assert np.isnan(improvement(table, table)[1:]).all() and not np.isnan(improvement(table, table).value)
    assert np.isnan(profile(table)[1:]).all() and not np.isnan(profile(table).value).any()
    assert np.isnan(improvement(table[:0], table[:0])).all()


def test_the_same_scores_give_the_same_numbers():
    arm, baseline = scores(8, (30, 5)), scores(9, (30, 5))
    assert improvement(arm, baseline) == improvement(arm.copy(), baseline.copy())
