"""Rates of wrong verdicts in families of equal arms, by the worlds of benchmarks/verdicts.py, and its agreement with `compare`."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from reidflow.evaluation.statistics import compare

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "verdicts.py"
CELLS = [
    ("seeds", 10, 30, 3),
    ("all three", 24, 12, 2),
    ("identities", 10, 12, 3),
    ("baseline's seeds three times as wide", 10, 30, 3),
    ("baseline three times as wide in all parts", 5, 30, 5),
    ("an arm's seeds three times as wide", 24, 12, 5),
    ("skewed scores", 10, 30, 3),
    ("a rate chosen on validation", 10, 12, 5),
]


@pytest.fixture(scope="module")
def verdicts():
    spec = importlib.util.spec_from_file_location("verdicts_benchmark", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_experiments_without_an_effect_seldom_have_a_verdict(verdicts, number):
    row = verdicts.measure(verdicts.Cell(*CELLS[number]), 500, number)
    assert row["borrowed"] <= 6.5
    assert row["borrowed_half"] <= 1.05 * row["own_half"]


@pytest.mark.parametrize(("arms", "seeds", "least"), [(10, 3, 1.8), (24, 3, 2.5)])
def test_many_arms_and_few_seeds_have_far_narrower_intervals(verdicts, arms, seeds, least):
    row = verdicts.measure(verdicts.Cell("all three", arms, 30, seeds), 200, 1)
    assert row["own_half"] / row["borrowed_half"] >= least


@pytest.mark.parametrize("cell", [("seeds", 5, 12, 3), ("identities", 5, 12, 10), ("all three", 10, 12, 2)])
def test_the_benchmark_simulates_the_verdicts_of_compare(verdicts, cell):
    differences = 2 * verdicts.draw(verdicts.Cell(*cell), np.random.Generator(np.random.PCG64(4)), 60)
    # Scores that differ: without an effect there would be hardly a verdict to compare.
    differences += 0.03 * np.arange(differences.shape[1])[None, :, None, None]
    expected = verdicts.with_borrowed(differences).wrong
    found = [compare({str(arm): one for arm, one in enumerate(arms)}, largest=np.inf) for arms in differences]
    assert [any(one.verdict != "inconclusive" for one in arms.values()) for arms in found] == expected.tolist()
    assert 0 < expected.mean() < 1
