"""Figures of inference: every arm on them, transductive ones hatched, gains and losses where they belong."""

from pathlib import Path

import drawn
import figure_tables as planted
import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from svg_text import shows, words

from reidflow.analyses.inference import figures as inference
from reidflow.analyses.inference.tables import INFERENCE
from reidflow.figures.style import BLUE, MUTED, VERMILLION, Heading

HEADING = Heading("Which <step> is worth $5?", "demo (demo scale)")
VERDICTS = ("better", "worse", "inconclusive")
DELTAS = (0.05, -0.04, 0.01)


def table(count: int) -> pl.DataFrame:
    rows = []
    for n, arm in enumerate(planted.names(count)):
        delta = DELTAS[n % 3] + n * 1e-4 if n else None
        row = dict.fromkeys(INFERENCE.columns) | {
            "experiment": "inference",
            "arm": arm,
            "baseline": n == 0,
            "kind": "single" if n else "plain",
            "methods": "flip",
            "transductive": n % 4 == 1,
            "runs": 1,
            "forward_passes": 1 + n % 2,
            "val_id_map": 0.5 + (delta or 0.0),
            "id_map": 0.5 + (delta or 0.0),
            "delta": delta,
            "verdict": VERDICTS[n % 3] if n else "baseline",
            "ties_with_best": False,
            "asked": 200,
            "better": 120 if n else 0,
            "worse": 50 if n else 0,
        }
        if n:
            row |= {"delta_low": delta - 0.02, "delta_high": delta + 0.02, "smallest_detectable": 0.03}
        rows.append(row)
    return pl.DataFrame(rows, schema=INFERENCE.columns)


def per_query(count: int) -> pl.DataFrame:
    generator = np.random.default_rng(2)
    rows = [
        (arm, seed, f"q{image}", float(ap))
        for arm in planted.names(count)
        for seed in (0, 1)
        for image, ap in enumerate(generator.uniform(0, 1, 9))
    ]
    return pl.DataFrame(rows, schema=["arm", "seed", "image", "ap"], orient="row")


DRAW = {
    "methods": lambda n, out: inference.draw_methods(table(n), HEADING, out),
    "queries": lambda n, out: inference.draw_queries(table(n), per_query(n), HEADING, out),
}


@pytest.mark.parametrize("count", [2, 12, 30])
@pytest.mark.parametrize("name", DRAW)
def test_every_method_stands_on_the_figure_whatever_its_name(name: str, count: int, tmp_path: Path) -> None:
    DRAW[name](count, {"svg": tmp_path / "figure.svg"})
    assert not [arm for arm in planted.names(count)[1:] if not shows(tmp_path / "figure.svg", arm)]
    assert HEADING.title in words(tmp_path / "figure.svg")


@pytest.mark.parametrize("count", [2, 12, 30])
@pytest.mark.parametrize("name", DRAW)
def test_no_words_lie_on_each_other_or_leave_the_figure(name: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = drawn.draw(monkeypatch, lambda out: DRAW[name](count, out))
    assert not drawn.outside(figure)
    assert not drawn.overlapping(figure)


def bars(figure, axes: int) -> list[Rectangle]:
    """Return the bars of one of the figure's axes that have an edge, from the top."""
    found = [p for p in figure.axes[axes].patches if isinstance(p, Rectangle) and p.get_linewidth() > 0]
    return sorted(found, key=lambda bar: (bar.get_y(), bar.get_width()))


def test_bars_are_the_differences_the_best_on_top_and_those_that_use_other_queries_are_hatched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, rows = table(12), table(12).filter(~pl.col("baseline")).sort("delta", descending=True)
    figure = drawn.draw(monkeypatch, lambda out: inference.draw_methods(found, HEADING, out))
    drawn_bars = bars(figure, 0)
    assert [bar.get_width() for bar in drawn_bars] == pytest.approx(rows["delta"].to_list())
    assert [bool(bar.get_hatch()) for bar in drawn_bars] == rows["transductive"].to_list()
    colours = {"better": BLUE, "worse": VERMILLION, "inconclusive": MUTED}
    assert [bar.get_edgecolor() for bar in drawn_bars] == [to_rgba(colours[v]) for v in rows["verdict"]]
    labels = [words for words, _ in drawn.texts(figure)]
    assert labels.count("2") == rows.filter(pl.col("forward_passes") == 2).height


def test_nothing_is_hatched_where_no_method_uses_other_queries(tmp_path: Path) -> None:
    free = table(5).with_columns(transductive=pl.lit(False))
    inference.draw_methods(free, HEADING, {"svg": tmp_path / "figure.svg"})
    assert not any("transductive" in line for line in words(tmp_path / "figure.svg"))
    DRAW["methods"](5, {"svg": tmp_path / "figure.svg"})
    assert "uses the other queries (transductive)" in words(tmp_path / "figure.svg")


def test_a_query_stands_at_its_means_before_and_after_and_unscored_ones_are_left_out() -> None:
    rows = [("none", 0, "a", 0.2), ("none", 1, "a", 0.4), ("none", 0, "b", 0.5), ("none", 1, "b", None)]
    rows += [
        ("new", 0, "a", 0.6),
        ("new", 1, "a", 1.0),
        ("new", 0, "b", 0.1),
        ("new", 1, "b", None),
        ("new", 0, "c", 1),
    ]
    table = pl.DataFrame(
        rows, schema={"arm": pl.String, "seed": pl.Int64, "image": pl.String, "ap": pl.Float64}, orient="row"
    )
    found = inference._before_after(table, "none", "new")
    assert found["image"].to_list() == ["a", "b"]
    assert found["before"].to_list() == pytest.approx([0.3, 0.5]) and found["after"].to_list() == [0.8, 0.1]


def test_queries_that_rise_fall_and_stay_have_marks_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = table(2)
    values = {"base": [0.1, 0.5, 0.9, 0.3], planted.names(2)[1]: [0.4, 0.5, 0.2, 0.6]}
    rows = [(arm, 0, f"q{n}", ap) for arm, own in values.items() for n, ap in enumerate(own)]
    queries = pl.DataFrame(rows, schema=["arm", "seed", "image", "ap"], orient="row")
    figure = drawn.draw(monkeypatch, lambda out: inference.draw_queries(found, queries, HEADING, out))
    same, up, down = (collection.get_offsets().tolist() for collection in drawn.marks(figure, 0))
    assert (same, sorted(up), down) == ([[0.5, 0.5]], [[0.1, 0.4], [0.3, 0.6]], [[0.9, 0.2]])
    assert [bar.get_width() for bar in bars(figure, 1)] == pytest.approx([-0.25, 0.6])
    assert any("(transductive)" in text for text, _ in drawn.texts(figure))


def test_without_a_comparison_the_figures_say_so(tmp_path: Path) -> None:
    alone = table(4).filter("baseline")
    inference.draw_methods(alone, HEADING, {"svg": tmp_path / "a.svg"})
    inference.draw_queries(alone, per_query(4), HEADING, {"svg": tmp_path / "b.svg"})
    assert any("No arm can be compared" in line for line in words(tmp_path / "a.svg"))
    assert any("No arm can be compared" in line for line in words(tmp_path / "b.svg"))


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    for name, draw in DRAW.items():
        for copy in ("a", "b"):
            draw(4, {"svg": tmp_path / f"{copy}.svg", "png": tmp_path / f"{copy}.png"})
        for kind in ("svg", "png"):
            assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes(), name
