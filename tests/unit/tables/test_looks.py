"""Seeds that are added to undecided arms: who gets more, the table, and what was spent."""

from dataclasses import replace

import polars as pl
import pytest
from arms_folder import SEEDS, a_description, an_experiment, build_table, scores, write_arm

from reidflow.spec.errors import ReidflowError
from reidflow.spec.sequential import SequentialSeeds
from reidflow.tables.arms import evaluated_arms
from reidflow.tables.caption import caption
from reidflow.tables.findings import findings
from reidflow.tables.looks import look_at, spent

FURTHER = ((3, 4), (5, 6))
ALL = (*SEEDS, 3, 4, 5, 6)
EFFECTS = {"base": (0.0, 0.01), "clear": (0.3, 0.01), "fair": (0.04, 0.03), "same": (0.0, 0.03), "slow": (0.015, 0.05)}
SCORES = {
    name: scores(0.4 + effect, row, noise, len(ALL)) for row, (name, (effect, noise)) in enumerate(EFFECTS.items())
}


def an_experiment_with_looks():
    plain = an_experiment([*EFFECTS])
    added = SequentialSeeds.model_validate({"from": 3, "to": 7, "step": 2, "until": "decided"})
    arms = {name: replace(arm, further=FURTHER) for name, arm in plain.arms.items()}
    return replace(plain, arms=arms, file=plain.file.model_copy(update={"seeds": added}))


def evaluated(folder, trained):
    """Return the folders of arms that were trained with so many of all seeds."""
    return {
        name: write_arm(folder / name, SCORES[name][:, :seeds], seeds=ALL[:seeds]) for name, seeds in trained.items()
    }


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The experiment run through its looks as the workflow does it: what each look found, the seeds of arms, the tables."""
    experiment, trained, found, tables = an_experiment_with_looks(), dict.fromkeys(EFFECTS, 3), [], []
    for look, seeds in enumerate(experiment.looks):
        folders = evaluated(tmp_path_factory.mktemp(f"look{look}"), trained)
        tables.append(build_table(experiment, folders, a_description()))
        joined = next(iter(folders.values())).parent / "evaluated"
        arms = evaluated_arms(experiment, *(read(joined, name) for name in ("metrics", "per_query")))
        found.append(look_at(experiment, arms, look))
        assert found[-1]["seeds"] == seeds
        if look + 1 < len(experiment.looks):
            trained |= dict.fromkeys(found[-1]["more"], experiment.looks[look + 1])
    return experiment, found, trained, tables


def read(folder, name):
    return pl.read_parquet(folder / f"{name}.parquet").sort("arm", "seed", maintain_order=True)


def test_only_undecided_arms_and_the_baseline_get_more_seeds(walked):
    _, found, trained, _ = walked
    assert found[0]["seeds"] == 3 and found[0]["decided"] == {"clear": "better"}
    assert found[0]["chance"]["same"] < 0.1 < found[0]["chance"]["slow"] and found[0]["more"] == [
        "base",
        "fair",
        "slow",
    ]
    assert found[1]["more"] == ["base", "slow"] and found[1]["decided"] == {"clear": "better", "fair": "better"}
    assert trained == {"base": 7, "clear": 3, "fair": 5, "same": 3, "slow": 7}


def test_the_table_has_the_verdicts_of_the_looks_and_the_seeds_that_were_spent(walked):
    _, found, trained, tables = walked
    rows = {row["arm"]: row for row in tables[-1].results.to_dicts()}
    assert {name: row["seeds"] for name, row in rows.items()} == trained
    assert {name: row["verdict"] for name, row in rows.items() if name != "base"} == {
        "clear": "better", "fair": "better", "same": "inconclusive", "slow": "inconclusive",
    }  # fmt: skip
    assert found[-1]["decided"] == {name: rows[name]["verdict"] for name in ("clear", "fair")}
    assert rows["clear"]["note"] == "decided with 3 seeds, at look 1 of 3"
    assert rows["same"]["note"] == "undecided with 3 seeds, at look 1 of 3: more would hardly decide it"
    assert rows["slow"]["note"] == "undecided with 7 seeds, at look 3 of 3"
    for name in ("clear", "fair", "same", "slow"):
        difference = (SCORES[name] - SCORES["base"])[:, : trained[name]]
        assert rows[name]["delta"] == pytest.approx(difference.mean(), abs=1e-12)
        assert rows[name]["delta_low"] < rows[name]["delta"] < rows[name]["delta_high"]
    earlier = {row["arm"]: row for row in tables[0].results.to_dicts()}
    assert all(earlier["clear"][key] == rows["clear"][key] for key in ("delta", "delta_low", "p_adjusted", "verdict"))


def test_what_was_spent_is_said_on_the_page(walked):
    experiment, _, _, tables = walked
    said = (
        "Seeds were added to undecided arms: of 4 arms, 1 was decided with 3 seeds, 1 with 5 and 2 stayed undecided (1 of "
        "them left early: more seeds would hardly decide them). 25 runs were trained instead of 35."
    )
    assert spent(experiment, tables[-1].results) == said
    assert said in findings(experiment, a_description(), tables[-1])
    notes = dict(caption(experiment, a_description(), tables[-1].results))
    assert notes["Seeds"].startswith(
        "every number is the mean over 3 to 7 training seeds [0, 1, 2]; undecided arms have more"
    )
    assert "at 5% for all 3 looks at the seeds together" in notes["Statistics"]
    plain = an_experiment([*EFFECTS])
    assert spent(plain, tables[-1].results) == ""


def test_seeds_that_no_look_adds_are_an_error(tmp_path):
    with pytest.raises(
        ReidflowError, match=r"holds the seeds \[0, 1, 2, 3\] of the arm 'clear', which has \[0, 1, 2\] or"
    ):
        trained = {**dict.fromkeys(EFFECTS, 3), "clear": 4}
        build_table(an_experiment_with_looks(), evaluated(tmp_path, trained), a_description())
