"""Tables, findings and contact sheet of a report on augmentation: planted differences come back with their sign."""

import copy
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from drawn import texts
from PIL import Image

from reidflow.analyses.augmentation import figures, sheets, tables
from reidflow.analyses.augmentation.findings import best_strength, sections
from reidflow.evaluation.selection import best_parts
from reidflow.figures.style import Heading
from reidflow.spec.components import resolve
from reidflow.spec.config import Config
from reidflow.spec.errors import Problems
from reidflow.spec.experiment import build

HEADING = Heading("Which <augmentation>?", "demo")
FILE = {
    **dict.fromkeys(("question", "motivation", "hypothesis"), "Words."),
    "varies": ["augmentation"],
    "baseline": "none",
    "parts": {
        "augmentation": {
            "flip": {"why": "The other flank.", "value": "flip", "strengths": [{"p": 0.25}, {"p": 0.5}]},
            "blur": {"why": "A missed focus.", "value": "blur"},
            "rotation": {"why": "A tilt.", "value": "rotation", "strengths": [{"degrees": 5}, {"degrees": 30}]},
        }
    },
    "arms": {
        "none": {"why": "Nothing.", "augmentation": []},
        "only_{part}": {"why": "{why}", "add_one": "augmentation"},
        "without_{part}": {"why": "x", "leave_out": "augmentation", "against": "all"},
        "all": {"why": "x", "every": "augmentation"},
    },
}
CONFIG = {
    "dataset": {"source": {"name": "demo"}},
    "split": {"name": "closed_set"},
    "protocol": {
        "model": {"backbone": {"name": "small", "family": "resnet"}, "size": 32, "trainable": {"name": "all"}},
        **{"loss": "supcon", "sampler": "pk", "optimizer": "adamw", "scheduler": "cosine"},
    },
    "experiments": ["augmentation"],
}
ADDED = {"flip": (-0.1, "worse"), "blur": (0.01, "inconclusive"), "rotation": (0.08, "better")}
LEFT = {"flip": (0.05, "better"), "blur": (0.0, "inconclusive"), "rotation": (0.02, "inconclusive")}


def experiment(**changes):
    problems = Problems()
    made = build("augmentation", "f.yaml", copy.deepcopy(FILE) | changes, Config.model_validate(CONFIG), problems)
    assert not problems.found
    return made


def results():
    """The columns of an experiment's table that the report reads."""
    rows = [{"arm": "none"}, {"arm": "all", "delta": 0.0, "verdict": "inconclusive"}]
    for part in ADDED:
        delta, verdict = ADDED[part]
        row = {"arm": f"only_{part}", "delta": delta, "delta_low": delta - 0.03, "delta_high": delta + 0.04}
        rows.append(row | {"verdict": verdict, "smallest_detectable": 0.06})
        delta, verdict = LEFT[part]
        row = {"arm": f"without_{part}", "against": "all", "against_delta": delta, "against_verdict": verdict}
        row |= {"against_low": delta - 0.01, "against_high": delta + 0.03, "against_smallest_detectable": 0.05}
        rows.append(row | {"verdict": "inconclusive", "delta": 0.5})
    numbers = ["id_map", "delta", "delta_low", "delta_high", "smallest_detectable", "against_delta", "against_low"]
    schema = dict.fromkeys([*numbers, "against_high", "against_smallest_detectable"], pl.Float64)
    return pl.DataFrame(
        rows, schema=schema | dict.fromkeys(("arm", "verdict", "against", "against_verdict"), pl.String)
    )


def runs(scores):
    """Metrics of (arm, validation, test) triples of several seeds."""
    rows = [
        {"arm": arm, "seed": seed, "val_id_map": val, "id_map": test}
        for arm, pairs in scores.items()
        for seed, (val, test) in enumerate(pairs)
    ]
    return pl.DataFrame(
        rows, schema={"arm": pl.String, "seed": pl.Int64, "val_id_map": pl.Float64, "id_map": pl.Float64}
    )


MAIN = runs(
    {"none": [(0.3, 0.2), (0.4, 0.4)], "only_flip": [(0.5, 0.1), (0.5, 0.1)], "only_rotation": [(0.6, 0.0)] * 2}
)
TRIED = runs(
    {
        "only_rotation, degrees = 5": [(0.6, 0.3), (0.7, 0.4)],
        "only_rotation, degrees = 30": [(0.5, 0.6), (0.5, 0.6)],
        "only_flip, p = 0.25": [(0.2, 0.1), (0.2, 0.1)],
        "only_flip, p = 0.5": [(0.5, 0.1), (0.5, 0.3)],
    }
)


def strengths():
    return tables.strengths_table(experiment(), ["rotation", "flip"], MAIN, TRIED)


def test_both_sides_of_a_part_speak_for_the_part():
    found = {row["part"]: row for row in tables.parts_table(experiment(), results()).to_dicts()}
    assert list(found) == ["flip", "blur", "rotation"]
    flip = found["flip"]
    assert (flip["add_arm"], flip["add_delta"], flip["add_verdict"]) == ("only_flip", -0.1, "worse")
    assert (flip["leave_arm"], flip["leave_delta"], flip["leave_verdict"]) == ("without_flip", -0.05, "worse")
    assert (flip["leave_low"], flip["leave_high"]) == pytest.approx((-0.08, -0.04))
    assert (flip["add_low"], flip["add_high"]) == pytest.approx((-0.13, -0.06))
    assert str(found["blur"]["leave_delta"]) == "0.0" and found["rotation"]["leave_verdict"] == "inconclusive"
    assert flip["why"] == "The other flank."


def test_a_left_out_arm_that_is_not_compared_with_all_says_nothing():
    other = results().with_columns(against=pl.lit(None, pl.String))
    found = tables.parts_table(experiment(), other)
    assert found["leave_delta"].null_count() == 3 and found["add_delta"].null_count() == 0


def test_the_parts_with_the_best_validation_score_are_picked_and_test_scores_do_not_count():
    arms = {"flip": "only_flip", "blur": "only_blur", "rotation": "only_rotation"}
    scores = {"only_flip": [(0.2, 0.9)], "only_blur": [(0.4, 0.1), (0.6, 0.1)], "only_rotation": [(0.5, 0.1)]}
    assert best_parts(runs(scores), arms) == ["blur", "rotation"], "ties go to the first"
    scores["only_rotation"] = [(float("nan"), 0.1), (0.9, 0.1)]
    scores["only_flip"] = [(0.46, 0.0)]
    assert best_parts(runs(scores), arms) == ["blur", "flip"], "a broken run counts as 0"
    assert best_parts(runs(scores), {}) == []


def test_a_curve_starts_without_the_part_and_rises_in_strength():
    found = strengths()
    assert found["part"].to_list() == ["rotation"] * 3 + ["flip"] * 3
    assert found["label"].to_list() == ["without", "degrees = 5", "degrees = 30", "without", "p = 0.25", "p = 0.5"]
    assert found["declared"].to_list() == [False] * 5 + [True]
    assert found["val_id_map"].to_list() == pytest.approx([0.35, 0.65, 0.5, 0.35, 0.2, 0.5])
    assert found["id_map_by_seed"][1].to_list() == [0.3, 0.4]


def test_statements_follow_the_tables():
    first, second = sections(tables.parts_table(experiment(), results()), strengths())
    assert first.statements == [
        "Alone, against no augmentation, significantly better: **rotation** +0.080 [+0.050, +0.120].",
        "Alone, against no augmentation, significantly worse: **flip** -0.100 [-0.130, -0.060].",
        "Alone, against no augmentation, not significantly different: **blur**; a difference of 0.060 would be detected with "
        "80 % power in each.",
        "Among all, against all but it, significantly worse: **flip** -0.050 [-0.080, -0.040].",
        "Among all, against all but it, not significantly different: **rotation** and **blur**; a difference of 0.050 would be "
        "detected with 80 % power in each.",
    ]
    assert second.statements[:2] == [
        "**rotation** has the highest validation mAP at degrees = 5: 0.650; on test 0.350, without it 0.300. It is the end of the "
        "range that was tried.",
        "**flip** has the highest validation mAP at p = 0.5: 0.500; on test 0.200, without it 0.300. It is the end of the range "
        "that was tried.",
    ]
    (block,) = first.tables
    assert block.headings[1] == "alone minus no augmentation"
    assert block.rows[0] == ["flip", "-0.100", "[-0.130, -0.060]", "worse", "-0.050", "[-0.080, -0.040]", "worse"]


def test_opposite_effects_are_named():
    table = tables.parts_table(experiment(), results()).with_columns(leave_verdict=pl.lit("better"))
    assert "The effect alone and among all is of opposite sign: **flip**." in sections(table, strengths())[0].statements


def test_the_best_strength_is_that_of_validation_and_its_arms_strength_stands_beside_it():
    rows = strengths().filter(pl.col("part") == "flip").to_dicts()
    rows.insert(2, {**rows[2], "label": "p = 0.3", "declared": False, "val_id_map": 0.9})
    best = best_strength(rows)
    assert (best["label"], best["declared"]["label"], best["at_end"]) == ("p = 0.3", "p = 0.5", False)
    assert best_strength(rows[:1]) is None


def test_an_experiment_without_parts_has_a_report_that_says_so():
    plain = {"none": {"why": "x", "augmentation": []}, "flip": {"why": "x", "augmentation": ["flip"]}}
    made = experiment(arms=plain, parts={})
    parts, curve = tables.parts_table(made, results()), tables.strengths_table(made, [], MAIN, TRIED.clear())
    assert parts.is_empty() and curve.is_empty()
    assert all(not section.statements for section in sections(parts, curve))
    for figure, words in (
        (figures.part_effects(parts, HEADING), "No augmentation of this experiment was compared."),
        (figures.strength_curves(curve, HEADING), "No augmentation of this experiment was tried at other strengths."),
    ):
        assert words in [text for text, _ in texts(figure)]


def test_the_sheet_has_a_row_per_arm(tmp_path: Path):
    generator = np.random.default_rng(0)
    samples = {arm: generator.integers(0, 256, (2, 3, 24, 24, 3)).astype(np.uint8) for arm in ("a", "b", "c")}
    components = {"a": [], "b": [{"name": "flip", "p": 0.5}], "c": [{"name": "flip"}, {"name": "blur"}]}
    sizes = []
    for count in (2, 3):
        shown = {arm: samples[arm] for arm in list(samples)[:count]}
        sheets.augmented_sheet(shown, components, HEADING, tmp_path / f"{count}.png")
        sizes.append(Image.open(tmp_path / f"{count}.png").size)
    assert sizes[0][0] == sizes[1][0] and sizes[1][1] > sizes[0][1] + 60


def test_the_sheet_names_the_parameters_that_are_not_the_default(monkeypatch, tmp_path: Path):
    written = []
    monkeypatch.setattr(sheets, "write_sheet", lambda rows, *rest: written.extend(row.words for row in rows))
    components = {
        "none": [],
        "tilted": [resolve("augmentation", {"name": "rotation", "degrees": 77})],
        "usual": [resolve("augmentation", "rotation")],
        "two": [{"name": "flip"}, {"name": "blur"}],
    }
    sheets.augmented_sheet(
        dict.fromkeys(components, np.zeros((1, 2, 8, 8, 3), np.uint8)), components, HEADING, tmp_path / "s.png"
    )
    p = components["usual"][0]["p"]
    assert written == [
        ["none", "no augmentation"],
        ["tilted", f"rotation(degrees=77.0, p={p})"],
        ["usual", f"rotation(p={p})"],
        ["two", "2 augmentations"],
    ]
