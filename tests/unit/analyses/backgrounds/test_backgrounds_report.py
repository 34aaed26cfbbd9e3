from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from arms_folder import Spec, a_table, an_experiment
from tested_arms import CHANCE, IDENTITIES, PROBES, TESTED, VERSIONS, a_test, means

from reidflow.analyses.backgrounds.tables import RELIANCE, TESTED_MATRIX, report
from reidflow.evaluation.reliance import reliance
from reidflow.evaluation.statistics import compare
from reidflow.spec.components import resolve
from reidflow.spec.errors import ReidflowError

ARMS = {
    "original": a_test(means(0.60, 0.45, 0.35)),
    "free": a_test(means(0.59, 0.45, 0.20), number=1),
    "free too": a_test(means(0.59, 0.45, 0.20), number=2),
    "behind": a_test(means(0.59, 0.45, 0.25), number=3),
    "costly": a_test(means(0.50, 0.38, 0.15), number=4),
    "same": a_test(means(0.60, 0.45, 0.35), number=5),
}


@pytest.fixture(scope="module")
def experiment_and_results(tmp_path_factory):
    experiment, tables = a_table(tmp_path_factory.mktemp("arms"), dict.fromkeys(ARMS, 0.0), **TESTED)
    return experiment, tables.results


@pytest.fixture
def told(experiment_and_results):
    """Return a function that reports on arms, the ones above where no others are given."""

    def tell(arms=ARMS, **options):
        experiment, results = experiment_and_results
        return report(experiment, arms, results, **({"probes": PROBES} | options))

    return tell


def cube(frame: pl.DataFrame, label: str, mode: str = "both") -> np.ndarray:
    """(identities, seeds), looked up one by one."""
    found = frame.filter((pl.col("tested_on") == label) & (pl.col("mode") == mode))
    of = {(identity, seed): ap for seed, identity, ap in found.select("seed", "identity", "ap").iter_rows()}
    return np.array([[of[identity, seed] for seed in (0, 1, 2)] for identity in IDENTITIES])


def words(sections, title: str) -> str:
    return "\n".join(next(section for section in sections if section.title == title).statements)


def test_the_matrix_holds_every_arm_version_and_mode_with_its_paired_difference(told):
    matrix, _, _ = told()
    TESTED_MATRIX.check(matrix, "here")
    assert matrix.height == len(ARMS) * (2 * len(VERSIONS) - 1)
    differences = {
        (arm, label): cube(frame, label, "query") - cube(frame, "original")
        for arm, frame in ARMS.items()
        for label in VERSIONS[1:]
    }
    expected = compare(differences)
    for row in matrix.filter(pl.col("mode") == "query").iter_rows(named=True):
        key = row["arm"], row["tested_on"]
        scores = cube(ARMS[row["arm"]], row["tested_on"], "query")
        assert row["id_map_by_seed"] == pytest.approx(scores.mean(axis=0).tolist())
        assert row["id_map"] == pytest.approx(scores.mean())
        assert row["id_map_std"] == pytest.approx(scores.mean(axis=0).std(ddof=1))
        assert row["delta"] == pytest.approx(differences[key].mean())
        assert row["p_holm"] == pytest.approx(expected[key].p_holm)
        assert (row["delta_low"], row["delta_high"]) == pytest.approx((expected[key].low, expected[key].high))
        assert row["verdict"] == expected[key].verdict
    reference = matrix.filter(pl.col("tested_on") == "original")
    assert set(reference["verdict"]) == {"reference"}
    assert reference["delta"].null_count() == len(ARMS)


def test_reliance_is_that_of_the_scores_and_its_verdict_names_the_direction(told):
    _, table, _ = told()
    RELIANCE.check(table, "here")
    chance = CHANCE + np.linspace(-0.02, 0.02, len(IDENTITIES))
    for row in table.iter_rows(named=True):
        frame = ARMS[row["arm"]]
        expected = reliance(cube(frame, "background_only"), cube(frame, "gray"), chance)
        assert (row["reliance"], row["low"], row["high"]) == pytest.approx(
            (expected.value, expected.low, expected.high)
        )
        assert row["silhouette"] == pytest.approx(cube(frame, "silhouette").mean())
        assert row["chance"] == pytest.approx(CHANCE)
    rows = {row["arm"]: row for row in table.to_dicts()}
    verdicts = {arm: row["verdict"] for arm, row in rows.items()}
    assert verdicts == dict.fromkeys(ARMS, "lower") | {"original": "baseline", "same": "inconclusive"}
    assert rows["free"]["delta"] == pytest.approx(rows["free"]["reliance"] - rows["original"]["reliance"])
    assert rows["free"]["delta_high"] < 0
    assert rows["costly"]["foreground_verdict"] == "worse"
    assert rows["costly"]["foreground_delta"] == pytest.approx(-0.07, abs=0.01)
    assert rows["original"]["foreground_delta"] is None


def test_what_is_recommended_lowers_reliance_costs_nothing_and_is_a_set(told):
    _, table, sections = told()
    assert table.filter("recommended")["arm"].to_list() == ["free", "free too"]
    text = words(sections, "Which intervention to take")
    first, *rest = text.splitlines()
    assert "cannot be told apart" in first
    assert "**free** (" in first
    assert "**free too** (" in first
    assert any(line.startswith("Lower reliance by less, as free: **behind** (") for line in rest)
    assert any(line.startswith("Lower reliance at a loss of foreground mAP: **costly** (") for line in rest)
    assert "same" not in text


def test_a_control_at_chance_is_said_and_one_above_it_is_a_warning(told):
    text = words(told()[2], "Reliance on the background")
    assert "not detectably above chance for every arm" in text
    assert "Warning" not in text
    leaking = {**ARMS, "free": a_test(means(0.59, 0.45, 0.2, control=0.15), number=1)}
    _, table, sections = told(leaking)
    text = words(sections, "Reliance on the background")
    assert "**Warning:** the control **unrelated_background**" in text
    assert "**free** (+0.04" in text
    assert "is not to be believed" in text
    assert dict(table.select("arm", "control_verdict").iter_rows())["free"] == "better"


def test_reliance_over_a_foreground_at_chance_is_not_defined(told):
    blind = {**ARMS, "same": a_test(means(0.59, CHANCE, 0.2), number=5)}
    _, table, sections = told(blind)
    row = table.row(by_predicate=pl.col("arm") == "same", named=True)
    assert (row["defined"], row["reliance"], row["delta"], row["verdict"]) == (False, None, None, "undefined")
    assert "reliance of **same** is not defined: the foreground alone is not above chance." in words(
        sections, "Reliance on the background"
    )
    _, table, sections = told({**ARMS, "original": a_test(means(0.6, CHANCE, 0.35))})
    assert table["delta"].null_count() == len(ARMS)
    assert "reliance of the baseline **original** is not defined" in words(sections, "Reliance on the background")
    assert "none is recommended" in words(sections, "Which intervention to take")


def test_one_seed_gives_numbers_and_no_verdict(tmp_path):
    _, tables = a_table(tmp_path, {"original": 0.0, "arm": 0.0})
    experiment = an_experiment(["original", "arm"], seeds={"original": (0,), "arm": (0,)}, **TESTED)
    arms = {"original": a_test(means(0.6, 0.45, 0.35), seeds=(0,)), "arm": a_test(means(0.6, 0.45, 0.1), seeds=(0,))}
    matrix, table, sections = report(experiment, arms, tables.results, probes=PROBES)
    assert set(matrix["verdict"]) == {"reference", "inconclusive"}
    assert matrix["p_holm"].null_count() == matrix.height
    assert matrix["delta"].null_count() == 2
    assert table["defined"].to_list() == [False, False]
    text = words(sections, "Reliance on the background")
    assert "one seed or one identity alone" in text
    assert "Whether the control is at chance cannot be said for **original** and **arm**" in text


def test_losses_are_told_where_the_animal_is_still_to_be_seen(told):
    _, _, sections = told()
    text = words(sections, "Trained on, tested on")
    assert "**original** loses most on **gray**: -0.15" in text
    assert "**original** loses most on **background" not in text
    gray = {**ARMS, "same": a_test(means(0.6, 0.6, 0.35), number=5, noise=0.03, query={"gray": 0.3})}
    _, _, sections = told(gray)
    assert "**same** loses detectably on no version; no change can be told on **gray**." in words(
        sections, "Trained on, tested on"
    )
    assert "**same** loses most on **gray**: -0.29" in words(sections, "Altered queries before an unchanged gallery")


def test_every_section_names_its_figure_and_tables_have_a_row_an_arm(told):
    _, _, sections = told()
    figures = [name for section in sections for name in section.figures]
    assert figures == ["tested_on", "query_only", "reliance", "interventions"]
    for section in sections:
        for block in section.tables:
            assert [row[0] for row in block.rows] == list(ARMS)
            assert {len(row) for row in block.rows} == {len(block.headings)}


def trained_on(experiment, **backgrounds):
    """Return the experiment with arms that were trained on these backgrounds."""
    arms = dict(experiment.arms)
    for name, background in backgrounds.items():
        arms[name] = replace(arms[name], points=(({}, Spec({"background": resolve("background", background)})),))
    return replace(experiment, arms=arms)


def test_an_arm_is_told_when_it_was_trained_on_the_version_it_is_tested_on(experiment_and_results):
    experiment, results = experiment_and_results
    experiment = trained_on(experiment, original="original", costly="gray")
    matrix, _, sections = report(experiment, ARMS, results, probes=PROBES)
    own = matrix.filter("own").select("arm", "tested_on", "mode").rows()
    assert own == [("original", "original", "both"), ("costly", "gray", "both"), ("costly", "gray", "query")]
    assert "each arm changes by: **costly** -0.1" in words(sections, "Trained on, tested on")
    assert "**costly** was trained on the very version" in words(sections, "Reliance on the background")
    _, _, sections = report(trained_on(experiment, costly="black"), ARMS, results, probes=PROBES)
    assert "was trained on the very version" not in words(sections, "Reliance on the background")


def test_the_order_of_rows_does_not_matter(told):
    """Identities in any order, as long as the versions come in theirs."""
    first, second = told(), told({name: frame.sort("identity", descending=True) for name, frame in ARMS.items()})
    assert first[0].equals(second[0])
    assert first[1].equals(second[1])


def test_what_is_missing_is_named(told):
    with pytest.raises(ReidflowError, match=r"no label for silhouette"):
        told(probes={role: label for role, label in PROBES.items() if role != "silhouette"})
    with pytest.raises(ReidflowError, match=r"not among the tested versions: control: else"):
        told(probes={**PROBES, "control": "else"})
    unseen = {name: frame.filter(pl.col("tested_on") != "original") for name, frame in ARMS.items()}
    with pytest.raises(ReidflowError, match=r"not among the tested versions: original: original"):
        told(unseen)
    with pytest.raises(ReidflowError, match=r"'free' holds the seeds \[0, 1\], but the arm has \[0, 1, 2\]"):
        told({**ARMS, "free": ARMS["free"].filter(pl.col("seed") < 2)})
    with pytest.raises(ReidflowError, match="'same' was tested on other versions or identities"):
        told({**ARMS, "same": ARMS["same"].filter(pl.col("identity") != IDENTITIES[3])})
    with pytest.raises(ReidflowError, match="baseline original was not tested"):
        told({name: frame for name, frame in ARMS.items() if name != "original"})
