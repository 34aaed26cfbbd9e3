import numpy as np
import polars as pl
import pytest
from arms_folder import IDENTITIES, a_description, an_experiment, build_table, scores, write_arm
from scipy import stats

from reidflow.tables.caption import caption
from reidflow.tables.experiment import RESULTS, blocks
from reidflow.tables.export import latex_table, markdown_table
from reidflow.tables.findings import findings
from reidflow.tables.interpretation import stamped

RANDOM = np.random.Generator(np.random.PCG64(4))
CLEAR = 0.03 + 0.02 * RANDOM.standard_normal(len(IDENTITIES))
FAINT = 0.002 + 0.02 * RANDOM.standard_normal(len(IDENTITIES))
AGAINST = {"chosen": "random", "other": "random"}


@pytest.fixture
def controlled(tmp_path):
    """Two arms whose difference from `random` is the same with every seed, far from the baseline's."""
    control = scores(0.3, 1)
    tables = {
        "all": scores(0.6, 0),
        "random": control,
        "chosen": control + CLEAR[:, None],
        "other": control + FAINT[:, None],
    }
    experiment = an_experiment(list(tables), against=AGAINST)
    folders = {name: write_arm(tmp_path / name, table) for name, table in tables.items()}
    return experiment, build_table(experiment, folders, a_description())


def row_of(tables, arm):
    return tables.results.row(by_predicate=pl.col("arm") == arm, named=True)


def test_an_arm_is_compared_with_its_control_as_by_hand(controlled):
    _, tables = controlled
    # Seeds that change nothing leave a t test over identities; of two, Holm doubles the smaller p.
    clear, faint = (stats.ttest_1samp(values, 0).pvalue for values in (CLEAR, FAINT))
    assert clear < 0.001 < 0.1 < faint
    chosen, other = row_of(tables, "chosen"), row_of(tables, "other")
    assert chosen["against_p_adjusted"] == pytest.approx(2 * clear, rel=1e-6)
    assert other["against_p_adjusted"] == pytest.approx(faint, rel=1e-6)
    assert (chosen["against"], chosen["against_verdict"], chosen["verdict"]) == ("random", "better", "worse")
    assert other["against_verdict"] == "inconclusive"
    assert chosen["against_delta"] == pytest.approx(CLEAR.mean())
    error = CLEAR.std(ddof=1) / np.sqrt(len(CLEAR))
    half = stats.t.ppf(1 - 0.05 / 2 / 2, len(CLEAR) - 1) * error
    assert (chosen["against_low"], chosen["against_high"]) == pytest.approx((CLEAR.mean() - half, CLEAR.mean() + half))
    detectable = stats.t.ppf([1 - 0.05 / 2 / 2, 0.8], len(CLEAR) - 1).sum() * error
    assert chosen["against_smallest_detectable"] == pytest.approx(detectable)


def test_controls_leave_the_comparison_with_the_baseline_as_it_is(controlled, tmp_path):
    experiment, tables = controlled
    plain = an_experiment(list(experiment.arms))
    alone = build_table(plain, {name: tmp_path / name for name in plain.arms}, a_description())
    own = [column for column in RESULTS.columns if not column.startswith("against")]
    assert alone.results.select(own).equals(tables.results.select(own))
    assert stamped(alone.results) == stamped(tables.results)
    assert all(alone.results[column].null_count() == 4 for column in RESULTS.columns if column.startswith("against"))


def test_controls_are_shown_wherever_the_table_is_and_only_where_there_are_any(controlled, tmp_path):
    experiment, tables = controlled
    plain = an_experiment(list(experiment.arms))
    alone = build_table(plain, {name: tmp_path / name for name in plain.arms}, a_description())
    for whose, found, expected in ((experiment, tables, True), (plain, alone, False)):
        parts = blocks(found.results, found.efficiency)
        lines = caption(whose, a_description(), found.results)
        assert ("Against their controls" in [part.title for part in parts]) == expected
        assert ("Against their controls" in markdown_table("x", parts, lines)) == expected
        assert ("Against their controls" in latex_table("x", parts, lines)) == expected
        assert ("## Against controls" in findings(whose, a_description(), found)) == expected
        assert ("over 2 comparisons, a family of their own" in dict(lines).get("Controls", "")) == expected
    block = next(part for part in blocks(tables.results, tables.efficiency) if part.title == "Against their controls")
    assert [row[0] for row in block.rows] == ["chosen", "other"]


def test_findings_say_which_arms_differ_from_their_controls_and_what_would_have_been_found(controlled):
    experiment, tables = controlled
    text = findings(experiment, a_description(), tables).split("## Against controls\n")[1].split("\n## ")[0]
    other = row_of(tables, "other")
    assert f"**chosen** is better than its control **random**: {CLEAR.mean():+.3f} [" in text
    assert f"**other** against its control **random**: {FAINT.mean():+.3f} [" in text
    assert f"a difference of {other['against_smallest_detectable']:.3f} would be detected with 80 % power" in text
    assert text.rstrip().endswith("/arms.png)")


def test_a_control_that_was_not_run_is_said_and_corrects_nothing(tmp_path):
    experiment = an_experiment(["all", "random", "chosen", "other"], against={"chosen": "random", "other": "all"})
    tables = {"all": scores(0.5, 0), "chosen": scores(0.5, 1), "other": scores(0.5, 0) + CLEAR[:, None]}
    folders = {name: write_arm(tmp_path / name, table) for name, table in tables.items()}
    found = build_table(experiment, folders, a_description(), unavailable={"random": "no weights"})
    chosen, other = row_of(found, "chosen"), row_of(found, "other")
    assert (chosen["against"], chosen["against_verdict"], chosen["against_delta"]) == ("random", "unavailable", None)
    assert other["against_p_adjusted"] == pytest.approx(stats.ttest_1samp(CLEAR, 0).pvalue, rel=1e-6)
    text = findings(experiment, a_description(), found)
    assert "**chosen** was not compared with its control **random**: one of them was not run." in text
    assert "over 1 comparison, a family" in dict(caption(experiment, a_description(), found.results))["Controls"]


def test_a_control_scored_on_other_identities_is_noted_by_name(tmp_path):
    experiment = an_experiment(["all", "random", "chosen"], against={"chosen": "random"})
    folders = {name: write_arm(tmp_path / name, scores(0.5, seed)) for seed, name in enumerate(experiment.arms)}
    path = folders["random"] / "per_query.parquet"
    frame = pl.read_parquet(path).filter(pl.col("identity") != IDENTITIES[0])
    frame.write_parquet(path)
    metrics = pl.read_parquet(folders["random"] / "metrics.parquet").sort("seed")
    metrics.with_columns(id_map=pl.Series(scores(0.5, 1)[1:].mean(axis=0))).write_parquet(
        folders["random"] / "metrics.parquet"
    )
    found = build_table(experiment, folders, a_description())
    note = row_of(found, "chosen")["note"]
    assert note == "against 'random': compared on the 19 identities that both arms score (1 left out)"
    expected = (scores(0.5, 2) - scores(0.5, 1))[1:].mean()
    assert row_of(found, "chosen")["against_delta"] == pytest.approx(expected)


def test_one_seed_concludes_nothing_against_a_control_either(tmp_path):
    names = ["all", "random", "chosen"]
    experiment = an_experiment(names, seeds=dict.fromkeys(names, (0,)), against={"chosen": "random"})
    folders = {n: write_arm(tmp_path / n, scores(0.3 * i, i, seeds=1), seeds=(0,)) for i, n in enumerate(names)}
    tables = build_table(experiment, folders, a_description())
    row = row_of(tables, "chosen")
    assert (row["against_verdict"], row["against_p_adjusted"]) == ("inconclusive", None)
    assert row["note"].count("one seed alone") == 1
    assert "its noise unknown" in findings(experiment, a_description(), tables).split("## Against controls")[1]


def test_arms_with_the_same_runs_say_so(tmp_path):
    runs = [f"shared {seed}" for seed in range(3)]
    experiment = an_experiment(["all", "loose", "looser", "swapped"])
    table = scores(0.5, 1)
    folders = {
        "all": write_arm(tmp_path / "all", scores(0.5)),
        "loose": write_arm(tmp_path / "loose", table, metrics={"run": runs}),
        "looser": write_arm(tmp_path / "looser", table, metrics={"run": runs}),
        "swapped": write_arm(tmp_path / "swapped", table, metrics={"run": runs[::-1]}),
    }
    tables = build_table(experiment, folders, a_description())
    notes = dict(tables.results.select("arm", "note").iter_rows())
    assert notes == {"all": "", "loose": "", "looser": "the same runs as arm loose", "swapped": ""}


def test_the_validation_score_is_the_mean_over_seeds_or_none(tmp_path):
    experiment = an_experiment(["all", "unvalidated"])
    folders = {
        "all": write_arm(tmp_path / "a", scores(0.5), metrics={"val_id_map": [0.1, 0.2, 0.6]}),
        "unvalidated": write_arm(tmp_path / "u", scores(0.5, 1), metrics={"val_id_map": [None] * 3}),
    }
    path = folders["unvalidated"] / "metrics.parquet"
    pl.read_parquet(path).with_columns(pl.col("val_id_map").cast(pl.Float64)).write_parquet(path)
    tables = build_table(experiment, folders, a_description())
    assert tables.results["val_id_map"].to_list() == [pytest.approx(0.3), None]
    block = next(part for part in blocks(tables.results, tables.efficiency) if part.title == "Scores")
    assert [row[block.headings.index("validation mAP")] for row in block.rows] == ["0.300", "–"]
