"""The tables of trials, and winners.json, from records."""

import json

import polars as pl
import pytest
from search_cases import study, worked

from reidflow.search.trial import outcome_of
from reidflow.search.trials_table import (
    TRIALS,
    TRIALS_EFFICIENCY,
    axes_of_studies,
    spent,
    ten_best,
    trials_efficiency,
    trials_table,
    winners,
)
from reidflow.spec.run import RunSpec
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table, write_table


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    studies = [
        study(name="rates", axes=study().axes[:1], trials=None, matched_to="all", finalists=0),
        study(name="all", trials=6, finalists=1),
    ]
    records = {"all": worked(results, studies[1])}
    records["rates"] = worked(results, studies[0], matched_steps=spent(records["all"]))
    return results, studies, records


def test_the_table_of_trials_has_a_column_for_every_axis_null_where_it_is_not_searched(made, tmp_path):
    _, studies, records = made
    contract = TRIALS(axes_of_studies(studies))
    write_table(trials_table(records, studies), tmp_path / "trials.parquet", contract)
    table = read_table(tmp_path / "trials.parquet", contract)
    assert table.columns[-4:] == [axis.name for axis in study().axes]
    assert table["study"].to_list() == ["rates"] * len(records["rates"]["trials"]) + ["all"] * 6
    rates, everything = (table.filter(pl.col("study") == name) for name in ("rates", "all"))
    assert rates["neck"].null_count() == len(rates) and everything["neck"].null_count() == 0
    assert set(everything["neck"]) == {"narrow", "wide"} and table.schema["model.head.dropout"] == pl.Float64
    for row, trial in zip(everything.to_dicts(), records["all"]["trials"], strict=True):
        assert row["values"] == trial["values"] and row["state"] == trial["state"] and row["run"] == trial["run"]
        assert row["winner"] == (trial["trial"] == records["all"]["winner"])
    finalists = [run["value"] for run in records["all"]["finalists"]]
    assert everything["finalist_value"].drop_nulls().to_list() == [sum(finalists) / 2]


def test_seconds_stand_in_a_table_of_their_own(made):
    results, studies, records = made
    table = trials_efficiency(records, RunStore(results / ".store"))
    TRIALS_EFFICIENCY.check(table, "here")
    assert len(table) == len(trials_table(records, studies)) and (table["seconds"] > 0).all()


def test_a_winner_is_a_run_that_can_be_trained_again_with_any_seed(made):
    found = winners(made[2])
    assert found["rates"]["finalist_value"] is None
    for name, record in made[2].items():
        won = record["trials"][record["winner"]]
        spec = RunSpec.model_validate(found[name]["spec"])
        assert spec.seed == 0 and spec.stop is None and spec.with_seed(won["seed"]).plain() == won["spec"]
        assert found[name]["settings"] == won["settings"] and found[name]["value"] == won["value"]


@pytest.mark.parametrize(
    ("diverged", "pruned", "state", "value"),
    [(False, False, "complete", 0.5), (True, False, "diverged", 0.0), (False, True, "pruned", None)],
)
def test_a_trial_counts_with_its_kept_checkpoint_and_a_diverged_one_with_nothing(
    tmp_path, diverged, pruned, state, value
):
    facts = dict.fromkeys(("epochs", "steps", "flops", "train_flops", "parameters", "trainable_parameters"), 3)
    (tmp_path / "provenance.json").write_text(json.dumps({**facts, "best_epoch": 2, "diverged": diverged}))
    history = pl.DataFrame({"epoch": [3, 0, 1, 2], "val_id_map": [0.4, 0.1, 0.3, 0.5]})
    history.write_parquet(tmp_path / "history.parquet")
    outcome = outcome_of(tmp_path, pruned)
    assert (outcome["state"], outcome["value"], outcome["best_epoch"]) == (state, value, 2)
    assert outcome["values"] == [0.1, 0.3, 0.5, 0.4]


def test_the_ten_best_are_complete_trials_of_the_widest_studies_each_run_once():
    studies = [study(name="narrow", axes=study().axes[:1]), study(name="wide"), study(name="also wide")]
    rows = [("narrow", "complete", 0.99, "a"), ("wide", "pruned", None, "b"), ("wide", "diverged", 0.0, "c")]
    rows += [("wide", "complete", 0.5, "d"), ("also wide", "complete", 0.5, "d"), ("also wide", "complete", 0.6, "e")]
    trials = pl.DataFrame(rows, schema=["study", "state", "value", "run"], orient="row")
    assert [row["run"] for row in ten_best(studies, trials)] == ["e", "d"]
    many = [("wide", "complete", 0.01 * number, str(number)) for number in range(12)]
    found = ten_best(studies, pl.DataFrame(many, schema=trials.schema, orient="row"))
    assert [row["run"] for row in found] == [str(number) for number in range(11, 1, -1)]
