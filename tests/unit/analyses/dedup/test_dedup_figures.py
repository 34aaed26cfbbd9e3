"""Figures of deduplication: every method on them, and the right pictures on the sheets."""

from dataclasses import replace
from pathlib import Path

import figure_tables as planted
import numpy as np
import polars as pl
import pytest
import report_cases as cases
from PIL import Image
from svg_text import shows, words

from reidflow.analyses.dedup import figures as dedup
from reidflow.analyses.dedup import sheets as dedup_sheets
from reidflow.analyses.dedup.tables import SUSPECTS
from reidflow.dedup.keep import links
from reidflow.figures.style import GREEN, VERMILLION, Heading

HEADING = Heading("Which <hash> costs $5 & gives $x_1$?", "demo (demo scale)")
DRAW = {
    "detection": lambda n, out: dedup.draw_detection(cases.methods(n), HEADING, out),
    "pairs": lambda n, out: dedup.draw_detection(cases.methods(n, truth=False), HEADING, out),
    "thresholds": lambda n, out: dedup.draw_thresholds(cases.methods(n), cases.dedup_arms(n), HEADING, out),
}


@pytest.mark.parametrize("count", [2, 16])
@pytest.mark.parametrize("name", DRAW)
def test_every_method_has_a_panel_whatever_its_name(name: str, count: int, tmp_path: Path) -> None:
    DRAW[name](count, {"svg": tmp_path / "figure.svg"})
    assert not [label for label in planted.names(count) if not shows(tmp_path / "figure.svg", label)]


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    for name, draw in DRAW.items():
        for copy in ("a", "b"):
            draw(3, {"svg": tmp_path / f"{copy}.svg", "png": tmp_path / f"{copy}.png"})
        for kind in ("svg", "png"):
            assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes(), name


def test_known_copies_give_precision_and_recall_unknown_ones_the_pairs(tmp_path: Path) -> None:
    DRAW["detection"](3, {"svg": tmp_path / "a.svg"})
    assert "F1 0.50 at 0" in words(tmp_path / "a.svg")
    assert "finds no pair" in words(tmp_path / "a.svg")
    DRAW["pairs"](3, {"svg": tmp_path / "b.svg"})
    assert "pairs of two identities" in words(tmp_path / "b.svg")
    assert "recall" not in words(tmp_path / "b.svg")


def test_the_number_of_training_images_is_told_where_nothing_is_left_out_too(tmp_path: Path) -> None:
    nothing = cases.methods(3).with_columns(dropped=pl.lit(0, pl.Int64), share=pl.lit(0.0), groups=pl.lit(0, pl.Int64))
    dedup.draw_thresholds(nothing, cases.dedup_arms(3), HEADING, {"svg": tmp_path / "figure.svg"})
    assert any("100 training images" in line for line in words(tmp_path / "figure.svg"))


def test_dynamics_have_a_panel_for_each_quantity_that_was_recorded(tmp_path: Path) -> None:
    arms = cases.dedup_arms(14)
    histories = {arm: cases.history() for arm in arms["arm"]}
    dedup.draw_dynamics(histories, arms, HEADING, {"svg": tmp_path / "all.svg"})
    assert set(dedup.QUANTITIES.values()) <= set(words(tmp_path / "all.svg"))
    histories = {arm: cases.history(("loss", "gradient_norm")) for arm in arms["arm"]}
    dedup.draw_dynamics(histories, arms, HEADING, {"svg": tmp_path / "two.svg"})
    assert dedup.QUANTITIES["active"] not in words(tmp_path / "two.svg")
    dedup.draw_dynamics({}, arms, HEADING, {"svg": tmp_path / "none.svg"})
    assert any("No history" in line for line in words(tmp_path / "none.svg"))


def test_dynamics_end_where_the_first_seed_stopped() -> None:
    history = cases.history(("loss",), 4).filter((pl.col("seed") == 0) | (pl.col("epoch") < 3))
    assert dedup._mean_curve(history, "loss") == ([1, 2], [1.0, 0.5])
    assert dedup._mean_curve(history, "hardness") == ([], [])


def test_groups_are_those_at_just_below_and_just_above_the_threshold() -> None:
    found = cases.duplicates([(0, 1, 2), (1, 2, 1), (3, 4, 1), (6, 7, 0), (8, 9, 3), (0, 11, 1)])
    joined = links(found.training, found.pairs["m0"], float("inf"), "identity")
    shown: set[int] = set()
    rank = {d: np.flatnonzero(joined.distances == d) for d in (0, 1, 2, 3)}
    assert dedup_sheets._examples(joined, rank[2], 2.0, shown) == [(2.0, [0, 1, 2])]
    assert dedup_sheets._examples(joined, np.concatenate([rank[1], rank[0]]), 2.0, shown) == [
        (1.0, [3, 4]),
        (0.0, [6, 7]),
    ]
    assert dedup_sheets._examples(joined, rank[3], 2.0, shown) == [(3.0, [8, 9])]


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def inside_of(sheet: np.ndarray, colour: str) -> set[int]:
    """Return the shades of the pictures with a border of this colour, found from the borders' left edges."""
    edge = (sheet == rgb(colour)).all(axis=2)
    found = set()
    for row, column in zip(*np.nonzero(edge), strict=True):
        if edge[row : row + 64, column].all() and edge[row, column : column + 64].all() and row + 64 <= len(sheet):
            found.add(int(sheet[row + 32, column + 32, 0]))
    return found


def test_what_stays_and_what_is_left_out_is_told_by_the_border(tmp_path: Path) -> None:
    found = cases.duplicates([(0, 1, 2), (8, 9, 3)], dropped=[1])
    images = cases.pixels()
    dedup_sheets.groups_sheet(images, found, cases.sheet_arms(), HEADING, tmp_path / "s.png", tile=64)
    shades = images[:, 0, 0, 0].astype(int).tolist()
    sheet = pixels_of(tmp_path / "s.png")
    assert inside_of(sheet, VERMILLION) == {shades[1]}
    assert inside_of(sheet, GREEN) == {shades[i] for i in (0, 8, 9)}


def test_groups_without_pairs_or_without_arms_are_a_sheet_that_says_so(tmp_path: Path) -> None:
    dedup_sheets.groups_sheet(cases.pixels(), cases.duplicates([]), cases.sheet_arms(None), HEADING, tmp_path / "a.png")
    empty = cases.sheet_arms().clear()
    dedup_sheets.groups_sheet(cases.pixels(), cases.duplicates([]), empty, HEADING, tmp_path / "b.png")
    assert pixels_of(tmp_path / "a.png").min() < 200 and pixels_of(tmp_path / "b.png").min() < 200


def test_what_lies_beyond_the_loosest_threshold_is_said_not_to_have_been_looked_for(
    monkeypatch, tmp_path: Path
) -> None:
    told = []
    monkeypatch.setattr(
        dedup_sheets, "write_sheet", lambda rows, *rest: told.append({r.words[0]: r.words[-1] for r in rows})
    )
    found = cases.duplicates([(0, 1, 1)])
    for loosest in (9.0, 2.0):
        known = replace(found, loosest={"m0": loosest})
        dedup_sheets.groups_sheet(cases.pixels(), known, cases.sheet_arms(), HEADING, tmp_path / "s.png")
    assert told[0]["just above"] == "no pair"
    assert told[1]["just above"] == "not looked for beyond 2"


def suspects(pairs: list[tuple[int, int]]) -> pl.DataFrame:
    rows = [(cases.IMAGES[i], cases.IMAGES[j], "A", "B", "train", "test", "m0", "dhash", 1.0, 2.0, 1) for i, j in pairs]
    return pl.DataFrame(rows, schema=SUSPECTS.columns, orient="row")


def test_suspects_stand_pair_by_pair_in_one_colour(tmp_path: Path) -> None:
    images = cases.pixels()
    found = cases.duplicates([])
    dedup_sheets.suspects_sheet(images, found, suspects([(0, 6), (2, 9)]), HEADING, tmp_path / "s.png", tile=64)
    shades = images[:, 0, 0, 0].astype(int).tolist()
    sheet = pixels_of(tmp_path / "s.png")
    for pair, colour in zip([(0, 6), (2, 9)], dedup_sheets.COLOURS, strict=False):
        assert inside_of(sheet, colour) == {shades[i] for i in pair}


def test_no_suspect_is_a_sheet_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(dedup_sheets, "write_sheet", lambda rows, out, heading, tile: told.append((rows, heading)))
    dedup_sheets.suspects_sheet(cases.pixels(), cases.duplicates([]), suspects([]), HEADING, tmp_path / "s.png")
    ((rows, heading),) = told
    assert "none found" in heading.subtitle
    assert rows[0].words[0] == "none found"
