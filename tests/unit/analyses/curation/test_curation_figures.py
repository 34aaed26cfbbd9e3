"""Figures of curation: every method on them, unknown scores left out, the right pictures at either end."""

from pathlib import Path

import figure_tables as planted
import numpy as np
import polars as pl
import pytest
import report_cases as cases
from svg_text import shows, words

from reidflow.analyses.curation import figures as curation
from reidflow.analyses.curation import sheets as curation_sheets
from reidflow.analyses.curation.tables import contrasts_table
from reidflow.figures.style import Heading

HEADING = Heading("Which <image> is worth $5?", "demo (demo scale)")


def shares(count: int, out: dict) -> None:
    curation.draw_shares(cases.curation_arms(count), HEADING, out)


def distributions(count: int, out: dict, **changes: list) -> None:
    arms = cases.curation_arms(count)
    found = cases.curated(arms, **changes)
    curation.draw_distributions(found, contrasts_table(found, arms), HEADING, out)


@pytest.mark.parametrize("count", [3, 12])
@pytest.mark.parametrize("draw", [shares, distributions])
def test_every_method_stands_on_the_figure_whatever_its_name(draw, count: int, tmp_path: Path) -> None:
    draw(count, {"svg": tmp_path / "figure.svg"})
    assert not [label for label in planted.names(count)[: count - 2] if not shows(tmp_path / "figure.svg", label)]


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    for draw in (shares, distributions):
        for copy in ("a", "b"):
            draw(4, {"svg": tmp_path / f"{copy}.svg", "png": tmp_path / f"{copy}.png"})
        for kind in ("svg", "png"):
            assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_equal_epochs_and_equal_steps_have_a_panel_each_where_there_are_such_arms(tmp_path: Path) -> None:
    shares(4, {"svg": tmp_path / "both.svg"})
    assert {"at equal epochs", "at equal steps"} <= set(words(tmp_path / "both.svg"))
    arms = cases.curation_arms(4).filter(pl.col("matched") == "epochs")
    curation.draw_shares(arms, HEADING, {"svg": tmp_path / "one.svg"})
    assert "at equal steps" not in words(tmp_path / "one.svg")
    curation.draw_shares(arms.filter("baseline"), HEADING, {"svg": tmp_path / "none.svg"})
    assert "No arm that chooses images has a score." in words(tmp_path / "none.svg")


def test_a_score_that_no_image_has_gets_no_panel(tmp_path: Path) -> None:
    distributions(4, {"svg": tmp_path / "figure.svg"}, foreground=[None] * 12, truncation=[None] * 11 + [0.5])
    found = words(tmp_path / "figure.svg")
    assert "foreground" not in found
    assert {"truncation", "label doubt", "k center"} <= set(found)


def test_without_any_choice_the_figure_says_so(tmp_path: Path) -> None:
    arms = cases.curation_arms(4).filter("baseline")
    found = cases.curated(arms)
    curation.draw_distributions(found, contrasts_table(found, arms), HEADING, {"svg": tmp_path / "figure.svg"})
    assert any("No arm chooses" in line for line in words(tmp_path / "figure.svg"))


def drawn(monkeypatch: pytest.MonkeyPatch, draw) -> dict[str, list[int]]:
    """Return for the first words of each row of a sheet the shades of its pictures."""
    told = []
    monkeypatch.setattr(curation_sheets, "write_sheet", lambda rows, *rest: told.extend(rows))
    draw()
    return {row.words[0]: [int(tile.image[0, 0, 0]) for tile in row.tiles] for row in told}


def test_valuable_images_are_those_of_the_choices_and_of_the_scores(monkeypatch, tmp_path: Path) -> None:
    arms, images = cases.curation_arms(4), cases.pixels()
    shades = images[:, 0, 0, 0].astype(int).tolist()
    order = np.roll(np.linspace(0, 1, 12), 3).tolist()
    found = cases.curated(arms, facility_location=order)
    rows = drawn(monkeypatch, lambda: curation_sheets.valuable_sheet(images, found, arms, HEADING, tmp_path / "s.png"))
    assert rows["chosen by most methods"][:6] == shades[:6]
    assert rows["chosen by fewest"][0] == shades[11]
    assert rows["most representative"][0] == shades[2]
    assert rows["least representative"][0] == shades[3]
    assert rows["best in quality"] == shades[:8]
    assert rows["worst in quality"] == shades[:3:-1]


def test_no_image_stands_at_both_ends_of_a_score(monkeypatch, tmp_path: Path) -> None:
    arms, images = cases.curation_arms(3), cases.pixels()
    shades = images[:, 0, 0, 0].astype(int).tolist()
    found = cases.curated(arms, truncation=[None] * 9 + [0.3, 0.2, 0.1], foreground=[None] * 11 + [0.5])
    rows = drawn(monkeypatch, lambda: curation_sheets.scores_sheet(images, found, HEADING, tmp_path / "s.png"))
    assert rows["quality"] == [*shades[:5], *shades[7:]]
    assert rows["truncation"] == [shades[9], shades[11]]
    assert rows["foreground"] == [shades[11]]


def test_sheets_are_written(tmp_path: Path) -> None:
    arms = cases.curation_arms(3)
    found = cases.curated(arms, label_doubt=[None] * 12)
    curation_sheets.valuable_sheet(cases.pixels(), found, arms, HEADING, tmp_path / "a.png", tile=32)
    curation_sheets.scores_sheet(cases.pixels(), found, HEADING, tmp_path / "b.png", tile=32)
    assert (tmp_path / "a.png").stat().st_size and (tmp_path / "b.png").stat().st_size
