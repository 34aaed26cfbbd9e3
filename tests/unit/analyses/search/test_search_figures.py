"""Figures of searches: legible marks, and words where there is nothing to show. Positions: figure_cases.py."""

import math

import drawn
import polars as pl
import pytest
import search_tables as planted
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from reidflow.analyses.search import figures
from reidflow.analyses.search.figures import position, ticks
from reidflow.analyses.search.tables import best_so_far, front
from reidflow.figures.style import VERDICTS, Heading
from reidflow.spec.errors import ReidflowError
from reidflow.spec.search import Axis

HEADING = Heading("Which <setting> costs $5?", "demo (demo scale)")


def words(figure) -> str:
    return " ".join(" ".join(text for text, _ in drawn.texts(drawn.laid_out(figure))).split())


def test_positions_are_logarithmic_where_the_range_is_and_ticks_lie_within_it() -> None:
    assert position(Axis("rate", "float", low=1e-4, high=1e-2, log=True), 1e-3) == pytest.approx(0.5)
    assert position(Axis("margin", "float", low=0.0, high=2.0), 0.5) == pytest.approx(0.25)
    assert [position(Axis("a", "choice", ("x", "y")), v) for v in ("x", "y", None)] == [0.25, 0.75, None]
    for low, high in ((1e-6, 1e-2), (0.2, 0.9), (16, 512), (0.001, 0.0015)):
        found = ticks(Axis("rate", "float", low=low, high=high, log=True))
        assert len(found) >= 2 and all(low * (1 - 1e-9) <= value <= high * (1 + 1e-9) for value in found)


def test_no_two_studies_look_alike() -> None:
    assert len(set(figures._looks(pl.Series([f"study {n}" for n in range(36)])).values())) == 36


def test_an_axis_that_a_study_does_not_search_says_so() -> None:
    for count, expected in ((3, 0), (4, 2)):
        figure = figures.parallel(planted.trials(count, 3), planted.axes(3), HEADING)
        assert words(figure).count("not searched") == expected


def test_importances_not_beyond_chance_are_pale() -> None:
    table = planted.importances(1, 3).filter(pl.col("study") == "random")
    figure = figures.importances(table, HEADING)
    assert [bar.get_alpha() for bar in figure.axes[0].patches] == [1.0, 1.0, 0.3, 1.0, 1.0, 1.0]
    assert "60 trials (fANOVA 48)" in words(figure)


def test_an_effect_has_the_colour_of_its_verdict() -> None:
    table = planted.effects(3)
    figure = figures.effects(table, HEADING)
    marks = [mark for mark in figure.findobj(PathCollection) if (mark.get_gid() or "").startswith("effect:")]
    expected = [VERDICTS[verdict] for verdict in table.filter(pl.col("effect").is_not_null())["verdict"]]
    assert [to_hex(mark.get_facecolor()[0]) for mark in marks] == expected


@pytest.mark.parametrize(
    ("flops", "parameters", "expected"),
    [(2.0, 2.0, ["flops", "parameters"]), (1.01, 2.0, ["parameters"]), (2.0, 1.0, ["flops"]), (1.0, 1.0, [])],
)
def test_a_front_has_a_panel_per_cost_in_which_trials_differ(flops: float, parameters: float, expected: list) -> None:
    trials = planted.trials(1, 3).filter(pl.col("state") == "complete").head(2)
    costs = {"flops": [1e6, flops * 1e6], "parameters": [1e4, parameters * 1e4]}
    table = front(trials.with_columns(**{name: pl.Series(own) for name, own in costs.items()}))
    figure = figures.front(table, HEADING)
    assert [axes.get_label() for axes in figure.axes] == expected
    assert ("do not differ" in words(figure)) == (not expected)


def test_words_stand_where_there_is_nothing_to_show() -> None:
    pruned = planted.trials(1, 3).with_columns(state=pl.lit("pruned"), value=pl.lit(None, pl.Float64))
    for figure, expected in (
        (figures.slices(pruned, planted.axes(3), HEADING), "trained to its end"),
        (figures.parallel(pruned, planted.axes(3), HEADING), "trained to its end"),
        (figures.progress(best_so_far(pruned, planted.seconds(pruned)), HEADING), "has a value"),
        (figures.front(front(pruned), HEADING), "do not differ"),
        (figures.importances(planted.importances(1, 2).clear(), HEADING), "for importances"),
        (figures.effects(planted.effects(2).clear(), HEADING), "for effects"),
    ):
        assert expected in words(figure)


def test_a_missing_column_is_named_and_a_baseline_without_a_number_left_out() -> None:
    with pytest.raises(ReidflowError, match=r"figure 'slices'.*'state'"):
        figures.slices(planted.trials(1, 2).drop("state"), planted.axes(2), HEADING)
    assert "baseline" not in words(figures.slices(planted.trials(1, 2), planted.axes(2), HEADING, math.nan))
