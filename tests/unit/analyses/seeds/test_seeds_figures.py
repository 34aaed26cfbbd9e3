"""Figures of an experiment on seeds: every run and experiment on them, spreads and limits as the tables have them."""

from pathlib import Path

import drawn
import figure_tables
import numpy as np
import polars as pl
import pytest
import seeds_tables as planted
from scipy.stats import t as student
from svg_text import shows, words

from reidflow.analyses.seeds import figures as seeds
from reidflow.analyses.seeds.tables import SPLIT, TRAINING
from reidflow.figures.style import SEED, Heading

HEADING = Heading("Does the <noise> carry $5?", "demo (demo scale)")


def draw_runs(out: dict, found: pl.DataFrame | None = None) -> None:
    found = planted.seeds() if found is None else found
    seeds.draw_runs(found, planted.spreads(found), planted.BEST, planted.BASELINE, HEADING, out)


def draw_readings(out: dict, count: int = 9) -> None:
    seeds.draw_readings(planted.readings(count, planted.seeds()), HEADING, out)


DRAW = {"runs": draw_runs, "readings": draw_readings}


@pytest.mark.parametrize("name", DRAW)
def test_words_stand_on_the_canvas_and_apart(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = drawn.draw(monkeypatch, DRAW[name])
    assert not drawn.outside(figure)
    assert not drawn.overlapping(figure)


@pytest.mark.parametrize("name", DRAW)
def test_the_same_tables_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    for copy in ("a", "b"):
        DRAW[name]({"svg": tmp_path / f"{copy}.svg", "png": tmp_path / f"{copy}.png"})
    for kind in ("svg", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_every_arm_and_experiment_stands_on_the_figure_whatever_its_name(tmp_path: Path) -> None:
    for name, expected in (("runs", [planted.BEST, planted.BASELINE]), ("readings", figure_tables.names(9))):
        file = tmp_path / f"{name}.svg"
        DRAW[name]({"svg": file})
        assert not [each for each in [*expected, HEADING.title] if not shows(file, each)]


def test_every_seed_and_split_is_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    table = planted.seeds(8, 5)
    figure = drawn.draw(monkeypatch, lambda out: draw_runs(out, table))
    points = [m for n in range(len(figure.axes)) for m in drawn.marks(figure, n) if _colour(m) == SEED]
    assert sorted(len(mark.get_offsets()) for mark in points) == [5, 5, 5, 8, 8, 8]
    ours = table.filter((pl.col("kind") == TRAINING) & (pl.col("arm") == planted.BEST))["id_map"]
    assert sorted(points[0].get_offsets()[:, 0]) == pytest.approx(sorted(ours))


def _colour(mark: object) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in mark.get_facecolor()[0][:3])


def test_the_interval_of_a_mean_is_students_and_splits_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    table = planted.seeds()
    figure = drawn.draw(monkeypatch, lambda out: draw_runs(out, table))
    values = table.filter((pl.col("kind") == TRAINING) & (pl.col("arm") == planted.BEST))["id_map"].to_numpy()
    expected = student.interval(0.95, len(values) - 1, values.mean(), values.std(ddof=1) / np.sqrt(len(values)))
    brackets = [[line for line in axes.lines if line.get_marker() == "|"] for axes in figure.axes]
    assert brackets[0][0].get_xdata() == pytest.approx(expected)
    assert [len(found) for found in brackets] == [2, 1, 0, 0]


def test_without_splits_only_training_seeds_are_drawn(tmp_path: Path) -> None:
    draw_runs({"svg": tmp_path / "figure.svg"}, planted.seeds().filter(pl.col("kind") == TRAINING))
    found = words(tmp_path / "figure.svg")
    assert any(line.startswith("Training seeds") for line in found)
    assert not any(line.startswith("Splits") for line in found)


def test_an_arm_without_scores_says_so(tmp_path: Path) -> None:
    table = planted.seeds().filter(pl.col("kind") == TRAINING)
    lost = pl.when(pl.col("arm") == planted.BEST).then(None).otherwise("id_map").alias("id_map")
    draw_runs({"svg": tmp_path / "figure.svg"}, table.with_columns(lost))
    assert words(tmp_path / "figure.svg").count("no score") == 2


def test_the_difference_furthest_beyond_the_noise_stands_on_top(tmp_path: Path) -> None:
    table = planted.readings(9, planted.seeds())
    draw_readings({"svg": tmp_path / "figure.svg"})
    found = [line.split()[1] for line in words(tmp_path / "figure.svg") if line.endswith(" sd")]
    assert found == [f"{ratio:.1f}" for ratio in table["ratio"].sort(descending=True)]


def test_bands_are_two_standard_deviations_of_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = drawn.draw(monkeypatch, draw_readings)
    table = planted.readings(9, planted.seeds()).sort("ratio", descending=True)
    for column, colour in (("noise", seeds.BANDS["noise"]), ("split_noise", seeds.BANDS["split_noise"])):
        bands = [line.get_xdata() for line in figure.axes[0].lines if line.get_color() == colour]
        assert [high for _, high in bands] == pytest.approx((2 * table[column]).to_list())
        assert [low for low, _ in bands] == pytest.approx((-2 * table[column]).to_list())


def test_where_there_is_nothing_to_draw_words_say_so(tmp_path: Path) -> None:
    out = {"svg": tmp_path / "figure.svg"}
    draw_runs(out, planted.seeds().with_columns(id_map=pl.lit(None, pl.Float64)))
    assert "No run has a score." in words(tmp_path / "figure.svg")
    seeds.draw_readings(planted.readings(2, planted.seeds()).clear(), HEADING, out)
    assert any("no noise" in line for line in words(tmp_path / "figure.svg"))


def test_one_split_is_drawn_without_a_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    table = planted.seeds(3, 1)
    figure = drawn.draw(monkeypatch, lambda out: draw_runs(out, table))
    assert table.filter(pl.col("kind") == SPLIT).height == 4
    assert len(figure.axes) == 4
    assert not [line for line in figure.axes[2].lines if line.get_linewidth() > 5]
