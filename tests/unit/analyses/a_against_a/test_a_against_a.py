"""Random experiments on runs of one configuration: how they are cut, and how their wrong verdicts are counted."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from reidflow.analyses import a_against_a
from reidflow.analyses.a_against_a.report import sections
from reidflow.analyses.a_against_a.tables import FALSE_VERDICTS, false_verdicts, pooled, random_experiments


def test_an_experiment_takes_each_run_at_most_once_and_pairs_seeds_by_their_place():
    powers = 2.0 ** np.arange(30)  # of two of them, the difference says which two
    for differences in random_experiments(np.stack([powers, powers]), count=50):
        assert all(values.shape == (2, 3) for values in differences.values()) and 1 <= len(differences) <= 9
        baselines, taken = set(), []
        for values in differences.values():
            pairs = [[(a, b) for a in range(30) for b in range(30) if powers[a] - powers[b] == v] for v in values[0]]
            assert [len(pair) for pair in pairs] == [1, 1, 1]
            baselines.add(tuple(pair[0][1] for pair in pairs))
            taken += [pair[0][0] for pair in pairs]
        (baseline,) = baselines
        assert len({*taken, *baseline}) == 3 * (len(differences) + 1)
    assert {len(found) for found in random_experiments(np.stack([powers, powers]))} == set(range(1, 10))
    assert {len(found) for found in random_experiments(powers[None, :8])} == {1}
    assert list(random_experiments(powers[None, :5])) == []


def test_wrong_verdicts_are_counted_with_their_exact_interval():
    """Half of the runs are of another configuration: most experiments have to find it."""
    draw = np.random.default_rng(0)
    same = 0.5 + 0.02 * draw.standard_normal((40, 30))
    mixed = same + np.where(np.arange(30) < 15, 0.3, 0.0)
    table = false_verdicts(mixed, count=60, most=2)
    FALSE_VERDICTS.check(table, "here")
    assert table["arms"].to_list() == [2, None] and table["experiments"].to_list() == [60, 60]
    every = table.row(-1, named=True)
    apart = sum(
        abs(np.sign(own["arm 1"].mean(axis=0).round(1)).sum()) == 3 for own in random_experiments(mixed, 60, most=2)
    )
    assert 0 < apart <= every["wrong"] < 60
    tails = binom.sf(every["wrong"] - 1, 60, every["share_low"]), binom.cdf(every["wrong"], 60, every["share_high"])
    assert tails == pytest.approx((0.025, 0.025))
    assert false_verdicts(same, count=60)["share"][-1] <= 0.1
    (found,) = sections(table, 30)
    assert f"{every['wrong']} of 60 random experiments of 2 to 2 arms, cut from the 30 runs" in found.text
    assert "Too few runs" in sections(false_verdicts(same[:, :5]), 5)[0].text


def test_runs_that_arms_share_count_once_and_only_identities_that_all_score():
    def arm(identities, runs):
        scores = np.arange(float(len(identities) * len(runs))).reshape(len(identities), -1)
        return SimpleNamespace(scores=lambda: (identities, scores), runs=lambda: dict(enumerate(runs)))

    found = pooled([arm(["cat", "dog"], ["r0", "r1"]), arm(["dog", "eel"], ["r1", "r2"])])
    np.testing.assert_array_equal(found, [[2.0, 0.0, 1.0]])


@pytest.mark.parametrize(("varies", "divisions", "holds"), [("seed", 1, True), ("loss", 1, False), ("seed", 5, False)])
def test_it_applies_to_arms_that_differ_in_seeds_alone_on_one_split(varies, divisions, holds):
    experiment = SimpleNamespace(file=SimpleNamespace(varies=[varies]), divisions=({},) * divisions)
    assert a_against_a.applies(experiment) is holds


def test_without_an_identity_that_all_runs_score_there_is_nothing_to_cut():
    assert pooled([]).shape == (0, 0)


def test_without_runs_there_is_no_row():
    assert false_verdicts(np.empty((0, 0))).equals(pl.DataFrame(schema=FALSE_VERDICTS.columns))
