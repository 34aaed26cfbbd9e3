"""Figures of searches: every study, axis and choice on them, readable, and true to their tables."""

import math
from itertools import pairwise
from pathlib import Path

import drawn
import polars as pl
import pytest
import search_tables as planted
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from svg_text import shows, words

from reidflow.analyses.search.figures import effects as search_effects
from reidflow.analyses.search.figures import front as search_front
from reidflow.analyses.search.figures import importances as search_importances
from reidflow.analyses.search.figures import parallel as search_parallel
from reidflow.analyses.search.figures import progress as search_progress
from reidflow.analyses.search.figures import slices as search_slices
from reidflow.analyses.search.figures.parts import DIVERGED, PRUNED, Scale, looks
from reidflow.analyses.search.tables import best_so_far, front
from reidflow.figures.style import VERDICTS, Heading
from reidflow.spec.errors import ReidflowError
from reidflow.spec.search import Axis

HEADING = Heading("Which <setting> costs $5?", "demo (demo scale)")
BASELINE = {"value": 0.585, "flops": 1.3e6, "parameters": 90_000.0}


def progress(count: int) -> pl.DataFrame:
    trials = planted.trials(count, 3)
    return best_so_far(trials, planted.seconds(trials))


DRAW = {
    "progress": lambda n, a, out: search_progress.draw(progress(n), HEADING, out, 0.585),
    "importances": lambda n, a, out: search_importances.draw(planted.importances(n, a), HEADING, out),
    "slices": lambda n, a, out: search_slices.draw(planted.trials(n, a), planted.axes(a), HEADING, out, 0.585),
    "parallel": lambda n, a, out: search_parallel.draw(planted.trials(n, a), planted.axes(a), HEADING, out, 0.585),
    "effects": lambda n, a, out: search_effects.draw(planted.effects(a), HEADING, out),
    "front": lambda n, a, out: search_front.draw(front(planted.trials(n, a)), HEADING, out, BASELINE),
}
STUDIES, AXES, CHOICES = (
    ("progress", "slices", "front"),
    ("importances", "slices", "parallel", "effects"),
    ("slices", "parallel", "effects"),
)
SIZES = [(2, 3), (5, 12)]


@pytest.mark.parametrize(("count", "axes"), SIZES)
@pytest.mark.parametrize("name", DRAW)
def test_words_stand_on_the_canvas_and_apart(name: str, count: int, axes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = drawn.draw(monkeypatch, lambda out: DRAW[name](count, axes, out))
    assert not drawn.outside(figure)
    assert not drawn.overlapping(figure)


@pytest.mark.parametrize("name", DRAW)
def test_every_study_axis_and_choice_stands_on_the_figure(name: str, tmp_path: Path) -> None:
    file = tmp_path / "figure.svg"
    DRAW[name](5, 12, {"svg": file})
    expected = [HEADING.title, *(planted.studies(5) if name in STUDIES else [])]
    expected += [axis.name for axis in planted.axes()] if name in AXES else []
    expected += [label for axis in planted.axes() for label in axis.labels] if name in CHOICES else []
    assert not [each for each in expected if not shows(file, each)]


@pytest.mark.parametrize("name", DRAW)
def test_the_same_tables_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    for copy in ("a", "b"):
        DRAW[name](2, 3, {"svg": tmp_path / f"{copy}.svg", "png": tmp_path / f"{copy}.png"})
    for kind in ("svg", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_values_stand_by_their_logarithm_where_the_range_is_logarithmic() -> None:
    rate = Scale(Axis("rate", "float", low=1e-4, high=1e-2, log=True))
    assert rate.place(1e-3) == pytest.approx(0.5)
    assert Scale(Axis("margin", "float", low=0.0, high=2.0)).place(0.5) == pytest.approx(0.25)
    assert [Scale(Axis("a", "choice", ("x", "y"))).place(v) for v in ("x", "y", None)] == [0.25, 0.75, None]


@pytest.mark.parametrize(("low", "high"), [(1e-6, 1e-2), (0.2, 0.9), (16, 512), (0.001, 0.0015)])
def test_a_logarithmic_axis_has_ticks_within_its_range(low: float, high: float) -> None:
    ticks = Scale(Axis("rate", "float", low=low, high=high, log=True)).ticks(1.6, 8)
    assert len(ticks) >= 2
    assert all(-1e-9 <= place <= 1 + 1e-9 for place, _ in ticks)


def test_no_two_studies_look_alike() -> None:
    found = looks([f"study {n}" for n in range(36)])
    assert len({(look.colour, look.mark) for look in found.values()}) == 36


def test_trials_without_a_value_of_their_own_stand_below_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = planted.trials(2, 2, budget=80)
    figure = drawn.draw(monkeypatch, lambda out: search_slices.draw(trials, planted.axes(2), HEADING, out))
    heights = [float(y) for mark in drawn.marks(figure, 0) for _, y in mark.get_offsets()]
    lowest = trials.filter(pl.col("state") == "complete")["value"].min()
    without = trials.filter(pl.col("state").is_in([PRUNED, DIVERGED])).height
    assert without > 5
    assert sum(y < lowest - 1e-9 for y in heights) == without


def test_the_best_so_far_and_what_ended_early_are_those_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    table = progress(1)
    figure = drawn.draw(monkeypatch, lambda out: search_progress.draw(table, HEADING, out))
    assert len(figure.axes) == 3
    line = max(figure.axes[1].lines, key=lambda line: len(line.get_xdata()))
    known = table.filter(pl.col("best").is_not_null())
    assert line.get_xdata().tolist() == known["steps"].to_list()
    assert line.get_ydata().tolist() == known["best"].to_list()
    lanes = [y for mark in drawn.marks(figure, 0)[-2:] for _, y in mark.get_offsets()]
    assert len(lanes) == table.filter(pl.col("state") != "complete").height


def test_without_measured_seconds_progress_goes_by_trials_and_steps(tmp_path: Path) -> None:
    table = progress(2).with_columns(seconds=pl.lit(None, pl.Float64))
    search_progress.draw(table, HEADING, {"svg": tmp_path / "figure.svg"})
    found = " ".join(words(tmp_path / "figure.svg"))
    assert "optimizer steps" in found
    assert "econds" not in found


def test_the_best_ten_trials_are_the_lines_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = planted.trials(2, 3)
    figure = drawn.draw(monkeypatch, lambda out: search_parallel.draw(trials, planted.axes(3), HEADING, out))
    others, best = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    ends = [[path.vertices[-1][0] for path in part.get_paths()] for part in (others, best)]
    values = trials.filter(pl.col("state") == "complete")["value"].sort()
    assert [len(part) for part in ends] == [len(values) - 10, 10]
    low, high = figure.axes[1].get_xlim()
    assert ends[1] == pytest.approx([(v - low) / (high - low) for v in values[-10:]])
    assert max(ends[0]) <= min(ends[1])


def test_a_study_that_keeps_an_axis_is_not_given_a_value_on_it(tmp_path: Path) -> None:
    for count, expected in ((3, 0), (4, 2)):
        trials = planted.trials(count, 3)
        search_parallel.draw(trials, planted.axes(3), HEADING, {"svg": tmp_path / "figure.svg"})
        assert words(tmp_path / "figure.svg").count("not searched") == expected


def test_the_axes_that_decide_most_in_the_pooled_trials_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    table = planted.importances(2, 3)
    most = pl.when(pl.col("pooled") & (pl.col("axis") == "sampler")).then(0.99).otherwise("share").alias("share")
    figure = drawn.draw(monkeypatch, lambda out: search_importances.draw(table.with_columns(most), HEADING, out))
    found = [text for text, _ in drawn.texts(figure)]
    assert found.index("sampler") < found.index("optimizer.learning_rate") < found.index("model.head.hidden")


def test_importances_that_chance_gives_as_well_are_pale(monkeypatch: pytest.MonkeyPatch) -> None:
    table = planted.importances(1, 3).filter(pl.col("study") == "random")
    figure = drawn.draw(monkeypatch, lambda out: search_importances.draw(table, HEADING, out))
    assert [bar.get_alpha() for bar in figure.axes[0].patches] == [1.0, 1.0, 1.0, 1.0, 0.3, 1.0]
    assert "60 trials (fANOVA 48)" in [text for text, _ in drawn.texts(figure)]


def test_an_effect_has_the_colour_of_its_verdict_and_a_choice_without_trials_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = planted.effects(3)
    figure = drawn.draw(monkeypatch, lambda out: search_effects.draw(table, HEADING, out))
    expected = [to_rgba(VERDICTS[v]) for v in table.filter(pl.col("effect").is_not_null())["verdict"]]
    assert [tuple(mark.get_facecolor()[0]) for mark in drawn.marks(figure, 0)] == expected


@pytest.mark.parametrize(
    ("flops", "parameters", "expected"),
    [(2.0, 2.0, ["flops", "parameters"]), (1.01, 2.0, ["parameters"]), (2.0, 1.0, ["flops"]), (1.0, 1.0, [])],
)
def test_a_front_is_drawn_over_what_trials_differ_in(
    flops: float, parameters: float, expected: list[str], tmp_path: Path
) -> None:
    table = front(planted.trials(1, 3)).head(2)
    table = table.with_columns(
        flops=pl.Series([1e6, flops * 1e6]), parameters=pl.Series([1e4, parameters * 1e4]), value=pl.Series([0.5, 0.6])
    )
    assert search_front.costs(table) == expected
    search_front.draw(table, HEADING, {"svg": tmp_path / "figure.svg"})
    assert any("do not differ" in line for line in words(tmp_path / "figure.svg")) == (not expected)


def test_only_trials_of_the_front_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    table = front(planted.trials(3, 12))
    figure = drawn.draw(monkeypatch, lambda out: search_front.draw(table, HEADING, out))
    line = figure.axes[0].lines[0]
    points = sorted(zip(line.get_xdata(), line.get_ydata(), strict=True))
    expected = table.filter("front_flops").select(pl.col("flops"), "value").rows()
    assert points == sorted(expected)
    assert all(a[1] <= b[1] for a, b in pairwise(points))


def test_where_there_is_nothing_to_draw_words_say_so(tmp_path: Path) -> None:
    out = {"svg": tmp_path / "figure.svg"}
    pruned = planted.trials(1, 3).with_columns(state=pl.lit(PRUNED), value=pl.lit(None, pl.Float64))
    for drawing, expected in (
        (lambda: search_slices.draw(pruned, planted.axes(3), HEADING, out), "trained to its end"),
        (lambda: search_parallel.draw(pruned, planted.axes(3), HEADING, out), "trained to its end"),
        (lambda: search_progress.draw(best_so_far(pruned, planted.seconds(pruned)), HEADING, out), "has a value"),
        (lambda: search_front.draw(front(pruned), HEADING, out), "do not differ"),
        (lambda: search_importances.draw(planted.importances(1, 2).clear(), HEADING, out), "to weigh its axes"),
        (lambda: search_effects.draw(planted.effects(2).clear(), HEADING, out), "what a choice does"),
    ):
        drawing()
        assert any(expected in line for line in words(tmp_path / "figure.svg"))


def test_a_table_without_a_needed_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReidflowError, match=r"figure 'slices'.*'state'"):
        search_slices.draw(planted.trials(1, 2).drop("state"), planted.axes(2), HEADING, tmp_path / "figure")
    assert not list(tmp_path.iterdir())


def test_a_baseline_that_is_not_a_number_is_left_out(tmp_path: Path) -> None:
    search_slices.draw(planted.trials(1, 2), planted.axes(2), HEADING, {"svg": tmp_path / "a.svg"}, math.nan)
    assert "baseline" not in words(tmp_path / "a.svg")
