"""Learning-rate curves of the arms and what the report says of them."""

import polars as pl
from arms_folder import an_experiment
from drawn import texts

from reidflow.analyses.schedules import figures
from reidflow.analyses.schedules.findings import sections
from reidflow.analyses.schedules.tables import KEPT, RATES, chosen_specs, kept_rates, rates_table, recorded
from reidflow.figures.style import Heading


def a_table() -> pl.DataFrame:
    falling, own = [1.0, 0.5, 0.25, 0.0], [0.1, 0.1, 0.05, 0.05]
    curves = {
        ("all alike", 0): (falling, 2, True),
        ("all alike", 1): (falling, 2, True),
        ("by metric", 0): ([0.1] * 4, 2, True),
        ("by metric", 1): (own, 2, False),
    }
    return rates_table(curves)


def test_seeds_with_the_same_rates_are_one_curve():
    table = a_table()
    assert table.schema == pl.Schema(RATES.columns)
    counted = {key: rows.height for key, rows in table.group_by("arm", "seed", maintain_order=True)}
    assert counted == {("all alike", None): 4, ("by metric", 0): 4, ("by metric", 1): 4}
    assert table.head(4)["epoch"].to_list() == [0.0, 0.5, 1.0, 1.5]


def test_the_kept_weights_stand_at_the_last_step_before_them():
    metrics = pl.DataFrame({"arm": ["all alike", "all alike", "by metric"], "seed": [0, 1, 1], "best_epoch": [1, 2, 0]})
    kept = kept_rates(a_table(), metrics)
    assert kept.rows() == [("all alike", 0, 1.0, 0.5), ("all alike", 1, 2.0, 0.0), ("by metric", 1, 0.0, 0.1)]


def test_the_section_gives_the_rates_as_shares_of_the_highest():
    table = a_table()
    metrics = pl.DataFrame({"arm": ["all alike"], "seed": [0], "best_epoch": [1]})
    (found,) = sections(table, kept_rates(table, metrics))
    assert found.tables[0].rows == [["all alike", "1", "44%", "0%", "50%"], ["by metric", "0.1", "88%", "75%", "–"]]
    assert found.statements[0].endswith("as a share of the highest: all alike 50%.")
    assert found.statements[1].endswith("those of **by metric** show the rate at the start of each epoch.")
    exact = table.with_columns(exact=pl.lit(True))
    (found,) = sections(exact, pl.DataFrame(schema=KEPT))
    assert found.statements == [
        "The curves are the arms' own schedulers, run again with the chosen rate and checked against the recorded rates."
    ]


def test_without_a_trained_arm_the_figure_says_so():
    figure = figures.rates(a_table().clear(), pl.DataFrame(schema=KEPT), "base", Heading("", ""))
    assert "No arm of this experiment was trained." in [text for text, _ in texts(figure)]


def test_what_a_history_records_is_the_rate_of_each_epochs_first_step():
    history = pl.DataFrame({"epoch": [0, 1, 2], "steps": [0, 2, 5], "learning_rate": [0.3, 0.3, 0.1]})
    assert recorded(history) == [0.3, 0.3, 0.1, 0.1, 0.1]


def test_the_curve_is_that_of_the_chosen_hyperparameters():
    experiment = an_experiment(["a", "b"], tuned={"rate": [1, 2]})
    object.__setattr__(experiment.arms["a"], "points", (({"rate": 1}, "first"), ({"rate": 2}, "second")))
    object.__setattr__(experiment.arms["b"], "points", (({}, "only"),))
    assert chosen_specs(experiment, {"a": {"values": {"rate": 2}}}) == {"a": "second", "b": "only"}
