"""Headline quantities: hand-computed values, planted differences, and how tables and answer show them."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from arms_folder import IDENTITIES, a_description, a_table, an_experiment

from reidflow.evaluation.statistics import compare
from reidflow.spec.quantities import Quantity
from reidflow.tables.answer import answer
from reidflow.tables.experiment import blocks
from reidflow.tables.quantities import beside, by_cost, compared, frame, headline_quantities, plain

RELIANCE = Quantity("reliance", "reliance on the background", "Share of it.", "lower")
GAIN = Quantity("speed", "mAP per step", "mAP over steps.", "higher")


def planted(level, seed, seeds=3):
    return level + np.random.default_rng(seed).normal(0, 0.01, (len(IDENTITIES), seeds))


def test_a_difference_is_paired_by_identity_and_a_lower_value_is_better_where_it_is_to_be():
    base, low, high = planted(0.5, 0), planted(0.3, 1), planted(0.7, 2)
    shuffled = np.random.default_rng(3).permutation(len(IDENTITIES))
    scores = {
        "base": (IDENTITIES, base),
        "low": ([IDENTITIES[i] for i in shuffled][1:], low[shuffled][1:]),
        "high": (IDENTITIES, high),
    }
    rows = {row["arm"]: row for row in compared(RELIANCE, scores, "base")}
    kept = np.sort(shuffled[1:])
    expected = compare({"low": low[kept] - base[kept], "high": high - base}, largest=np.inf)
    assert (rows["base"]["verdict"], rows["base"]["delta"]) == ("baseline", None)
    for arm, verdict in (("low", "better"), ("high", "worse")):
        found = expected[arm]
        assert rows[arm]["verdict"] == verdict != found.verdict
        assert (rows[arm]["delta"], rows[arm]["delta_low"], rows[arm]["delta_high"], rows[arm]["p_adjusted"]) == (
            pytest.approx(found.delta), pytest.approx(found.low), pytest.approx(found.high), pytest.approx(found.p_adjusted),
        )  # fmt: skip
        assert rows[arm]["reference"] == "base"
    assert rows["low"]["value"] == pytest.approx(low[kept].mean())
    assert rows["low"]["std"] == pytest.approx(low[kept].mean(axis=0).std(ddof=1))
    assert {row["arm"]: row["verdict"] for row in compared(GAIN, scores, "base")}["low"] == "worse"


def test_one_seed_concludes_nothing():
    scores = {"base": (IDENTITIES, planted(0.5, 0, 1)), "arm": (IDENTITIES, planted(0.9, 1, 1))}
    row = compared(GAIN, scores, "base")[1]
    assert row["verdict"] == "inconclusive" and row["delta_low"] is None and row["std"] is None
    assert row["delta"] == pytest.approx(0.4, abs=0.02)


def test_a_score_by_its_cost_divides_each_seed_by_its_own():
    def arm(values, steps):
        scores = (["a", "b"], np.array(values))
        return SimpleNamespace(folds=(), scores=lambda: scores, metrics=pl.DataFrame({"steps": steps}))

    experiment = an_experiment(["base", "half", "free"])
    arms = {
        "base": arm([[0.4, 0.6], [0.2, 0.4]], [100, 200]),
        "half": arm([[0.4, 0.6], [0.2, 0.4]], [50, 100]),
        "free": arm([[0.4, 0.6], [0.2, 0.4]], [0, 10]),
    }
    rows = {row["arm"]: row for row in by_cost(GAIN, experiment, arms, "steps", 100)}
    # Seed 0: (0.4 + 0.2) / 2 by 1; seed 1: (0.6 + 0.4) / 2 by 2.
    assert rows["base"]["value"] == pytest.approx((0.3 / 1 + 0.5 / 2) / 2)
    assert rows["half"]["value"] == pytest.approx(2 * rows["base"]["value"])
    assert rows["half"]["delta"] == pytest.approx(rows["base"]["value"])
    assert "free" not in rows


def test_the_headline_stands_beside_the_map_in_the_first_table_and_in_the_answer(tmp_path):
    effects = {"base": 0.0, "down": -0.1, "up": 0.1}
    experiment, tables = a_table(tmp_path, effects, headline=["reliance", "steps"])
    scores = {name: (IDENTITIES, planted(0.5 + effect, seed)) for seed, (name, effect) in enumerate(effects.items())}
    path = tmp_path / "own.quantities.parquet"
    frame([*compared(GAIN, scores, "base"), *compared(RELIANCE, scores, "base")]).write_parquet(path)
    quantities = headline_quantities(experiment, tables.results, [path])
    assert quantities["quantity"].unique(maintain_order=True).to_list() == ["reliance", "steps"]
    assert quantities["arm"].to_list() == ["base", "down", "up"] * 2
    first = blocks(tables.results, tables.efficiency, quantities)[0]
    place = first.headings.index("reliance on the background")
    assert first.headings[place - 2 : place] == ["verdict", "P(better)"] and first.headings[place + 3] == "verdict"
    assert "Lower is better." in first.meanings[place]
    assert [row[place + 3] for row in first.rows] == ["baseline", "better", "worse"]
    rows = {row["arm"]: row for row in quantities.filter(pl.col("quantity") == "reliance").to_dicts()}
    assert [row[place] for row in first.rows] == [f"{rows[arm]['value']:.3f}" for arm in effects]
    assert [row[first.headings.index("steps")] for row in first.rows] == ["101"] * 3
    text = answer(tables.results, a_description(), quantities)
    down = rows["down"]
    assert text.startswith(
        "Reliance on the background (lower is better): **down** is better than **base** by "
        f"{-down['delta']:.3f} [{-down['delta_high']:.3f}, {-down['delta_low']:.3f}] "
        f"({down['value']:.3f} against {rows['base']['value']:.3f}); 1 of 2 is worse. Balanced mAP: **up** is better"
    )
    assert text.endswith("steps: 101 for **up**, 101 to 101 over 3 arms (lower is better).".capitalize())


def test_without_a_headline_the_first_table_is_that_of_the_results(tmp_path):
    _, tables = a_table(tmp_path, {"base": 0.0, "up": 0.1})
    assert beside(tables.results, frame([]))[0].equals(tables.results)
    assert blocks(tables.results, tables.efficiency) == blocks(tables.results, tables.efficiency, frame([]))


def test_a_gain_over_the_control_is_that_of_the_table(tmp_path):
    against = {"chosen": "random"}
    experiment, tables = a_table(
        tmp_path, {"base": 0.0, "random": 0.1, "chosen": 0.15}, headline=["control"], against=against
    )
    (row,) = headline_quantities(experiment, tables.results).to_dicts()
    own = tables.results.filter(pl.col("arm") == "chosen").row(0, named=True)
    assert (row["value"], row["delta_low"], row["verdict"]) == (own["against_delta"], own["against_low"], "better")
    assert answer(tables.results, a_description(), frame([row])).startswith(
        f"Gain over the control (higher is better): **chosen** is better than **random** by {row['delta']:.3f} ["
    )


def test_a_quantity_without_a_spread_has_no_verdict(tmp_path):
    _, tables = a_table(tmp_path, {"base": 0.0, "up": 0.1})
    quantities = frame(plain(Quantity("dropped", "dropped", "Share.", "higher", "share"), {"base": 0.0, "up": 0.25}))
    table, shown = beside(tables.results, quantities)
    assert [column.heading for column in shown] == ["dropped"]
    assert "Dropped: 25% for **up**, 0% to 25% over 2 arms" in answer(tables.results, a_description(), quantities)
    assert table.columns[: tables.results.width] == tables.results.columns
