"""Variances of means over tables with missing cells, against clustering by hand and simulated folds."""

import numpy as np
import pytest
from statsmodels.api import OLS
from statsmodels.stats.sandwich_covariance import cov_cluster

from reidflow.evaluation.statistics import interval
from reidflow.evaluation.variance import spread, spread_of, summarise


def holes(seed: int, share: float) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(seed))
    values = 0.3 + 0.1 * (rng.standard_normal((20, 1)) + rng.standard_normal((1, 5)) + rng.standard_normal((20, 5)))
    return np.where(rng.random((20, 5)) < share, np.nan, values)


def test_a_whole_table_has_the_same_parts_by_squares_and_by_clusters():
    values = holes(0, 0.0)
    missing = np.concatenate([values, np.full((1, 5), np.nan)])
    for one, other in zip(spread(values), spread_of(missing), strict=True):
        np.testing.assert_allclose(one, other)


@pytest.mark.parametrize("seed", range(3))
def test_parts_are_those_of_clusters(seed):
    values = holes(seed, 0.4)
    values = values[~np.isnan(values).all(axis=1)]
    count = (~np.isnan(values)).sum(axis=1)
    delta = np.nanmean(np.nanmean(values, axis=1))
    by_identity = [np.nansum(row - delta) / n / len(values) for row, n in zip(values, count, strict=True)]
    by_column = np.nansum((values - delta) / count[:, None] / len(values), axis=0)
    found = spread_of(values)
    assert found.delta == pytest.approx(delta)
    assert found.identity == pytest.approx(len(values) / (len(values) - 1) * np.square(by_identity).sum())
    assert found.column == pytest.approx(5 / 4 * np.square(by_column).sum())
    assert found.columns == pytest.approx(by_column)
    assert 0 <= found.residual <= min(found.identity, found.column)


@pytest.mark.parametrize("folds_of_identity", [1, 2])
@pytest.mark.parametrize("dominating", ["identities", "folds"])
def test_intervals_over_folds_cover_the_truth(folds_of_identity, dominating):
    rng = np.random.Generator(np.random.PCG64(3))
    sizes = {"identities": (1.0, 0.1), "folds": (0.3, 0.5)}[dominating]
    covered = 0
    for _ in range(600):
        values = (
            sizes[0] * rng.standard_normal((30, 1))
            + sizes[1] * rng.standard_normal((1, 5))
            + 0.5 * rng.standard_normal((30, 5))
        )
        tested = (np.arange(5) - np.arange(30)[:, None]) % 5 < folds_of_identity
        low, high = interval(summarise(spread_of(np.where(tested, values, np.nan))), 0.05)
        covered += low <= 0 <= high
    assert covered / 600 >= 0.93


def test_parts_of_a_table_with_gaps_are_the_cluster_variances_of_statsmodels():
    """Every identity has a value in three of five columns, so that all cells weigh alike, as they do in a regression."""
    tested = (np.arange(5) - np.arange(20)[:, None]) % 5 < 3
    values = np.where(tested, holes(4, 0.0), np.nan)
    identity, column = np.nonzero(tested)
    fit = OLS(values[tested], np.ones(tested.sum())).fit()
    found = spread_of(values)
    assert found.delta == pytest.approx(fit.params[0])
    for own, groups, count in ((found.identity, identity, 20), (found.column, column, 5)):
        reference = cov_cluster(fit, groups, use_correction=False)[0, 0] * count / (count - 1)
        assert own == pytest.approx(reference)
    dummies = np.concatenate([np.eye(20)[identity], np.eye(5)[column][:, 1:]], axis=1)
    mean_square = OLS(values[tested], dummies).fit().mse_resid
    assert found.residual == pytest.approx(min(mean_square / tested.sum(), found.identity, found.column))
    assert mean_square / tested.sum() < min(found.identity, found.column)
