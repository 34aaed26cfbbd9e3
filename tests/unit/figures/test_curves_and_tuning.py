from pathlib import Path

import figure_tables as planted
import numpy as np
import polars as pl
from svg_text import coloured, words

from reidflow.figures import curves, tuning
from reidflow.figures.style import VERMILLION, Heading

HEADING = Heading("Question?")


def draw_curves(histories: dict[str, pl.DataFrame], tmp_path: Path) -> list[str]:
    curves.draw(histories, "base", HEADING, {"svg": tmp_path / "curves.svg"})
    return words(tmp_path / "curves.svg")


def test_without_any_validation_the_losses_alone_are_drawn(tmp_path: Path) -> None:
    found = draw_curves({"base": planted.history(validation=False), "b": planted.history(validation=False)}, tmp_path)
    assert "training loss" in found
    assert "validation mAP" not in found


def test_an_arm_without_validation_says_so_among_others(tmp_path: Path) -> None:
    found = draw_curves({"base": planted.history(), "b": planted.history(validation=False)}, tmp_path)
    assert found.count("no validation images") == 1


def test_a_loss_that_is_not_finite_is_counted_by_seed(tmp_path: Path) -> None:
    found = draw_curves({"base": planted.history(), "b": planted.history(broken=True)}, tmp_path)
    assert found.count("not finite: 1 of 3") == 1


def test_the_mean_ends_where_the_first_seed_stops(tmp_path: Path) -> None:
    values = curves._matrix(planted.history(epochs=6), "val_id_map")
    assert values.shape == (3, 7)
    assert np.isfinite(values).sum(axis=1).tolist() == [7, 6, 5]
    assert curves._complete(values) == 5


def test_a_choice_on_the_edge_of_the_grid_is_flagged_and_only_that(tmp_path: Path) -> None:
    tuning.draw(planted.choices(8), HEADING, {"svg": tmp_path / "tuning.svg"})
    assert words(tmp_path / "tuning.svg").count("on the edge") == 4
    assert coloured(tmp_path / "tuning.svg", "on the edge") == {VERMILLION}


def test_grid_values_stand_in_order_and_briefly(tmp_path: Path) -> None:
    choices = planted.choices(2)
    for choice in choices.values():
        choice["points"].reverse()
    tuning.draw(choices, HEADING, {"svg": tmp_path / "tuning.svg"})
    ticks = [w for w in words(tmp_path / "tuning.svg") if w in ("1e-4", "3e-4", "1e-3", "3e-3")]
    assert ticks == ["1e-4", "3e-4", "1e-3", "3e-3"] * 2


def test_a_second_tuned_setting_becomes_lines_with_a_legend(tmp_path: Path) -> None:
    points = [
        {"values": {"lr": rate, "loss.margin": margin}, "val_id_map": None if rate == 1 else 0.5, "seeds": {}}
        for margin in (0.1, None)
        for rate in (1, 2, 3)
    ]
    choice = {"values": points[1]["values"], "points": points, "on_edge": {"lr": False, "loss.margin": False}}
    tuning.draw({"base": choice}, HEADING, {"svg": tmp_path / "tuning.svg"})
    found = words(tmp_path / "tuning.svg")
    assert {"margin 0.1", "margin none", "lr", "no finite value"} <= set(found)
