"""Tables, findings and contact sheet of a report on backgrounds, against planted scores."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from arms_folder import Spec, a_table, an_experiment
from drawn import texts
from PIL import Image
from planted_animals import animals
from tested_arms import CHANCE, IDENTITIES, PROBES, TESTED, VERSIONS, a_test, means

from reidflow.analyses.backgrounds import figures
from reidflow.analyses.backgrounds.findings import largest_losses
from reidflow.analyses.backgrounds.findings import sections as sections_from
from reidflow.analyses.backgrounds.sheets import interventions_sheet, typical_and_hard
from reidflow.analyses.backgrounds.tables import RELIANCE, TESTED_MATRIX, background_tables, quantity_rows
from reidflow.evaluation.reliance import reliance
from reidflow.evaluation.statistics import compare
from reidflow.figures.contact import MARGIN
from reidflow.figures.style import Heading
from reidflow.spec.components import resolve
from reidflow.spec.errors import ReidflowError
from reidflow.spec.quantities import Quantity

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


def report(experiment, arms, results, probes=PROBES):
    matrix, reliance = background_tables(experiment, arms, probes)
    return matrix, reliance, sections_from(matrix, reliance, results, probes)


@pytest.fixture
def reported(experiment_and_results):
    """Return a function that reports on arms, the ones above where no others are given."""
    experiment, results = experiment_and_results
    return lambda arms=ARMS, **options: report(experiment, arms, results, **options)


def cube(frame: pl.DataFrame, label: str, mode: str = "both") -> np.ndarray:
    """(identities, seeds), looked up one by one."""
    found = frame.filter((pl.col("tested_on") == label) & (pl.col("mode") == mode))
    of = {(identity, seed): ap for seed, identity, ap in found.select("seed", "identity", "ap").iter_rows()}
    return np.array([[of[identity, seed] for seed in (0, 1, 2)] for identity in IDENTITIES])


def words(sections, title: str) -> str:
    return "\n".join(next(section for section in sections if section.title == title).statements)


def test_the_matrix_holds_every_arm_version_and_mode_with_its_paired_difference(reported):
    matrix, _, _ = reported()
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
        assert row["p_adjusted"] == pytest.approx(expected[key].p_adjusted)
        assert (row["delta_low"], row["delta_high"]) == pytest.approx((expected[key].low, expected[key].high))
        assert row["verdict"] == expected[key].verdict
    reference = matrix.filter(pl.col("tested_on") == "original")
    assert set(reference["verdict"]) == {"reference"}
    assert reference["delta"].null_count() == len(ARMS)


def test_reliance_is_that_of_the_scores_and_its_verdict_names_the_direction(reported):
    _, table, _ = reported()
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


def test_what_is_recommended_lowers_reliance_costs_nothing_and_is_a_set(reported):
    _, table, sections = reported()
    assert table.filter("recommended")["arm"].to_list() == ["free", "free too"]
    first, *rest = words(sections, "Which intervention to use").splitlines()
    row = {row["arm"]: row for row in table.to_dicts()}["free"]
    assert first.startswith(
        "Lowest reliance without a significant loss of foreground mAP (these are not significantly different)"
    )
    assert f"**free** ({row['delta']:+.3f} [{row['delta_low']:+.3f}, {row['delta_high']:+.3f}]; foreground " in first
    assert "**free too** (" in first
    assert rest[0].startswith("On unchanged test images, **free") and "from the baseline (inconclusive)." in rest[0]
    assert any(
        line.startswith("Lower reliance, but significantly higher than the lowest: **behind** (") for line in rest
    )
    assert any(line.startswith("Lower reliance at a significant loss of foreground mAP: **costly** (") for line in rest)
    assert "same" not in "".join([first, *rest])


def test_a_control_above_chance_is_a_warning(reported):
    text = words(reported()[2], "Reliance on the background")
    assert "is not significantly above chance" in text
    assert "Warning" not in text
    leaking = {**ARMS, "free": a_test(means(0.59, 0.45, 0.2, control=0.15), number=1)}
    _, table, sections = reported(leaking)
    text = words(sections, "Reliance on the background")
    assert "**Warning:** the control **unrelated_background**" in text
    assert "**free** (+0.04" in text
    assert "is invalid" in text
    assert dict(table.select("arm", "control_verdict").iter_rows())["free"] == "better"


def test_reliance_over_a_foreground_at_chance_is_not_defined(reported):
    blind = {**ARMS, "same": a_test(means(0.59, CHANCE, 0.2), number=5)}
    _, table, sections = reported(blind)
    row = table.row(by_predicate=pl.col("arm") == "same", named=True)
    assert (row["defined"], row["reliance"], row["delta"], row["verdict"]) == (False, None, None, "undefined")
    assert "reliance of **same** is not defined: the foreground alone is not above chance." in words(
        sections, "Reliance on the background"
    )
    _, table, sections = reported({**ARMS, "original": a_test(means(0.6, CHANCE, 0.35))})
    assert table["delta"].null_count() == len(ARMS)
    assert "reliance of the baseline **original** is not defined" in words(sections, "Reliance on the background")
    assert "none is recommended" in words(sections, "Which intervention to use")


def test_one_seed_gives_numbers_and_no_verdict(tmp_path):
    _, tables = a_table(tmp_path, {"original": 0.0, "arm": 0.0})
    experiment = an_experiment(["original", "arm"], seeds={"original": (0,), "arm": (0,)}, **TESTED)
    arms = {"original": a_test(means(0.6, 0.45, 0.35), seeds=(0,)), "arm": a_test(means(0.6, 0.45, 0.1), seeds=(0,))}
    matrix, table, sections = report(experiment, arms, tables.results, probes=PROBES)
    assert set(matrix["verdict"]) == {"reference", "inconclusive"}
    assert matrix["p_adjusted"].null_count() == matrix.height
    assert matrix["delta"].null_count() == 2
    assert table["defined"].to_list() == [False, False]
    text = words(sections, "Reliance on the background")
    assert "one seed or one identity alone" in text
    assert "compare the control with chance: **original** and **arm**." in text


def test_losses_are_reported_where_the_animal_is_still_to_be_seen(reported):
    _, _, sections = reported()
    text = words(sections, "Trained on, tested on")
    assert "**original** on **gray** -0.15" in text
    assert "background_only" not in text
    gray = {**ARMS, "same": a_test(means(0.6, 0.6, 0.35), number=5, noise=0.03, query={"gray": 0.3})}
    _, _, sections = reported(gray)
    assert "No significant loss on any such version: **same**." in words(sections, "Trained on, tested on")
    assert "**same** on **gray** -0.29" in words(sections, "Altered queries, unchanged gallery")


def test_the_largest_loss_is_the_largest_significant_one():
    rows = [
        {"arm": "a", "tested_on": "gray", "delta": -0.3, "verdict": "inconclusive"},
        {"arm": "a", "tested_on": "blur", "delta": -0.2, "verdict": "worse"},
        {"arm": "a", "tested_on": "noise", "delta": -0.1, "verdict": "worse"},
        {"arm": "a", "tested_on": "background_only", "delta": -0.9, "verdict": "worse"},
        {"arm": "b", "tested_on": "original", "delta": None, "verdict": "reference"},
        {"arm": "b", "tested_on": "gray", "delta": -0.3, "verdict": "inconclusive"},
    ]
    found = largest_losses(pl.DataFrame(rows), PROBES)
    assert [row["tested_on"] for row in found["lost"]] == ["blur"] and found["level"] == ["b"]


def test_every_section_names_its_figure_and_tables_have_a_row_an_arm(reported):
    _, _, sections = reported()
    assert [name for section in sections for name in section.figures] == [
        "reliance",
        "tested_on",
        "query_only",
        "interventions",
    ]
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


def test_an_arm_that_is_tested_on_the_version_it_was_trained_on_is_named(experiment_and_results):
    experiment, results = experiment_and_results
    experiment = trained_on(experiment, original="original", costly="gray")
    matrix, _, sections = report(experiment, ARMS, results, probes=PROBES)
    own = matrix.filter("own").select("arm", "tested_on", "mode").rows()
    assert own == [("original", "original", "both"), ("costly", "gray", "both"), ("costly", "gray", "query")]
    assert "On the version that it was trained on: **costly** -0.1" in words(sections, "Trained on, tested on")
    assert "**costly** was trained on the very version" in words(sections, "Reliance on the background")
    _, _, sections = report(trained_on(experiment, costly="black"), ARMS, results, probes=PROBES)
    assert "was trained on the very version" not in words(sections, "Reliance on the background")


def test_the_order_of_rows_does_not_matter(reported):
    """Identities in any order, as long as the versions come in theirs."""
    first, second = (
        reported(),
        reported({name: frame.sort("identity", descending=True) for name, frame in ARMS.items()}),
    )
    assert first[0].equals(second[0])
    assert first[1].equals(second[1])


def test_what_is_missing_is_named(reported):
    with pytest.raises(ReidflowError, match=r"no label for silhouette"):
        reported(probes={role: label for role, label in PROBES.items() if role != "silhouette"})
    with pytest.raises(ReidflowError, match=r"not among the tested versions: control: else"):
        reported(probes={**PROBES, "control": "else"})
    unseen = {name: frame.filter(pl.col("tested_on") != "original") for name, frame in ARMS.items()}
    with pytest.raises(ReidflowError, match=r"not among the tested versions: original: original"):
        reported(unseen)
    with pytest.raises(ReidflowError, match=r"holds the seeds \[0, 1\] of the arm 'free', which has \[0, 1, 2\]"):
        reported({**ARMS, "free": ARMS["free"].filter(pl.col("seed") < 2)})
    with pytest.raises(ReidflowError, match="'same' was tested on other versions or identities"):
        reported({**ARMS, "same": ARMS["same"].filter(pl.col("identity") != IDENTITIES[3])})
    with pytest.raises(ReidflowError, match="baseline original was not tested"):
        reported({name: frame for name, frame in ARMS.items() if name != "original"})


def test_only_the_original_leaves_no_altered_query_to_draw(reported) -> None:
    matrix, *_ = reported()
    figure = figures.query_only(matrix.filter(pl.col("tested_on") == "original"), Heading("", ""))
    assert "No version but the original was tested." in [text for text, _ in texts(figure)]


def test_a_table_without_a_needed_column_is_named(reported) -> None:
    matrix, table, _ = reported()
    with pytest.raises(ReidflowError, match=r"figure 'reliance'.*'silhouette'"):
        figures.reliance(table.drop("silhouette"), Heading("", ""))
    with pytest.raises(ReidflowError, match=r"figure 'tested_on'.*'chance'"):
        figures.tested_on(matrix.drop("chance"), Heading("", ""))


@pytest.fixture(scope="module")
def planted():
    return animals()


def test_rows_are_images_and_columns_interventions(tmp_path):
    shades = {label: np.full((5, 16, 16, 3), i, np.uint8) for i, label in enumerate(["original", "<b>$x$"])}
    for i, images in enumerate(shades.values()):
        images += (np.arange(5, dtype=np.uint8) * 40 + 20 * i)[:, None, None, None]
    interventions_sheet(shades, [3, 1], ["J01\nimage", ""], Heading("Title", "demo"), tmp_path / "sheet.png", tile=32)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    left = MARGIN + 190 + 16
    found = [[shade for shade in line if shade in {120, 141, 40, 61}] for line in sheet[:, [left, left + 42], 0]]
    assert [line for line in dict.fromkeys(map(tuple, found)) if len(line) == 2] == [(120, 141), (40, 61)]


def test_a_caption_is_needed_for_each_image(tmp_path):
    with pytest.raises(ReidflowError, match="2 images and 1 captions"):
        interventions_sheet({}, [0, 1], ["a"], Heading(""), tmp_path / "sheet.png")


def test_images_are_chosen_over_the_identities_and_by_the_difficulty_of_their_masks(planted):
    masks = planted.masks.copy()
    masks[10, ::2, ::2] = 255
    masks[4, ::3, ::3] = 255
    rows = typical_and_hard(planted.manifest, masks, 6)
    assert [row // 3 for row in rows[:4]] == [0, 1, 2, 3] and rows[4:] == [10, 4]
    assert len(set(typical_and_hard(planted.manifest, masks, 20))) == 12
    bare = planted.with_columns(mask=["none"] * 6 + ["alpha"] * 6, identity=["a"] * 9 + [None] * 3)
    assert sorted(typical_and_hard(bare.manifest, masks, 5)) == [6, 7, 8]
    nobody = planted.with_columns(mask=["none"] * 12)
    assert typical_and_hard(nobody.manifest, masks, 5) == []
    sides = planted.manifest.with_columns(side=pl.Series(["gallery"] * 9 + ["query"] * 3))
    assert sorted(typical_and_hard(sides, masks, 5)) == [9, 10, 11]


def test_a_lower_reliance_is_better_and_altered_queries_are_compared_with_the_baselines(experiment_and_results):
    experiment, _ = experiment_and_results
    _, table = background_tables(experiment, ARMS, PROBES)
    quantities = [Quantity("reliance", "r", "m", "lower"), Quantity("queries on gray", "q", "m", "higher")]
    rows = quantity_rows(experiment, ARMS, table, quantities)
    reliance, queries = ({row["arm"]: row for row in rows if row["quantity"] == q.name} for q in quantities)
    assert {arm: reliance[arm]["verdict"] for arm in ("original", "free", "same")} == {
        "original": "baseline",
        "free": "better",
        "same": "inconclusive",
    }
    assert {arm: row["value"] for arm, row in reliance.items()} == dict(table.select("arm", "reliance").iter_rows())
    base = cube(ARMS["original"], "gray", "query")
    expected = compare({arm: cube(ARMS[arm], "gray", "query") - base for arm in ARMS if arm != "original"})
    assert queries["costly"]["verdict"] == "worse" == expected["costly"].verdict
    for arm, found in expected.items():
        assert (queries[arm]["delta"], queries[arm]["p_adjusted"]) == (
            pytest.approx(found.delta),
            pytest.approx(found.p_adjusted),
        )
