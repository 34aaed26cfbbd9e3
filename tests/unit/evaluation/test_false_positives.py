"""Simulated experiments in which no arm differs: how often the statistics claim one, and how often intervals hold."""

import numpy as np
import pytest

from reidflow.evaluation.statistics import compare, interval, mean_difference, p_value, ties_with_best

DRAWS = 8000
IDENTITIES = 24

# Variance of the mean due to identities and to seeds, in units of that due to what is left.
REGIMES = {
    "residual": (0, 0),
    "identities": (1000, 0),
    "seeds": (0, 1000),
    "identities and seeds": (1000, 1000),
    "a few seeds among identities": (100, 30),
    "worst for the plain formula": (40, 60),
    "identities above residual": (4, 0),
    "seeds above residual": (0, 8),
    "all alike": (1, 1),
    "mild": (2, 4),
}


def draws(regime: str, seeds: int, spread: float = 0.0, skew: bool = False) -> np.ndarray:
    """Differences (DRAWS, identities, seeds) of mean zero; `spread` makes the interaction stronger in some."""
    rng = np.random.Generator(np.random.PCG64(sorted(REGIMES).index(regime) + 100 * seeds))
    identity, seed = REGIMES[regime]

    def noise(*shape):
        return rng.standard_exponential(shape) - 1 if skew else rng.standard_normal(shape)

    rest = noise(DRAWS, IDENTITIES, seeds) * np.exp(spread * rng.standard_normal((DRAWS, IDENTITIES, 1)))
    of_identity = noise(DRAWS, IDENTITIES, 1) * np.sqrt(identity / seeds)
    return of_identity + rng.standard_normal((DRAWS, 1, seeds)) * np.sqrt(seed / IDENTITIES) + rest


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("regime", REGIMES)
def test_false_positives_are_at_most_seven_per_cent(regime, seeds):
    mean = mean_difference(draws(regime, seeds))
    assert (p_value(mean) < 0.05).mean() <= 0.07


@pytest.mark.parametrize("regime", REGIMES)
def test_false_positives_stay_rare_at_the_levels_of_ten_arms(regime):
    p = p_value(mean_difference(draws(regime, 3)))
    assert (p < 0.005).mean() <= 0.02


@pytest.mark.parametrize("regime", REGIMES)
def test_false_positives_where_some_identities_are_noisier(regime):
    assert (p_value(mean_difference(draws(regime, 3, spread=1.0))) < 0.05).mean() <= 0.07


@pytest.mark.parametrize("regime", REGIMES)
def test_false_positives_under_the_skew_of_an_exponential_stay_those_of_a_t_test(regime):
    assert (p_value(mean_difference(draws(regime, 3, skew=True))) < 0.05).mean() <= 0.09


@pytest.mark.parametrize("regime", REGIMES)
def test_intervals_cover_the_truth(regime):
    mean = mean_difference(draws(regime, 3) + 0.3)
    low, high = interval(mean, 0.05)
    coverage = ((low <= 0.3) & (high >= 0.3)).mean()
    assert coverage >= 0.935
    if regime in ("identities", "seeds", "identities and seeds"):
        assert coverage <= 0.975


def family(rng: np.random.Generator, arms: int) -> np.ndarray:
    """Scores (arms, identities, seeds) of equal arms: each with its own whims by identity and by seed."""
    shape = (arms, IDENTITIES, 3)
    return 0.5 + 0.02 * (
        rng.standard_normal((*shape[:2], 1))
        + 0.3 * rng.standard_normal((arms, 1, 3))
        + rng.standard_normal(shape)
        + rng.standard_normal(shape[1:])
    )


def test_a_family_of_equal_arms_seldom_has_a_verdict():
    rng = np.random.Generator(np.random.PCG64(21))
    wrong = excluded = 0
    for _ in range(400):
        scores = family(rng, 7)
        found = compare({f"arm{k}": scores[k] - scores[0] for k in range(1, 7)})
        wrong += any(comparison.verdict != "inconclusive" for comparison in found.values())
        excluded += "arm3" not in ties_with_best({f"arm{k}": scores[k] for k in range(7)})
    assert wrong / 400 <= 0.07
    assert excluded / 400 <= 0.05
