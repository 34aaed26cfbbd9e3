from itertools import combinations
from pathlib import Path

import figure_tables as planted
import numpy as np
import polars as pl
from svg_text import words

from reidflow.figures import identities, leaderboard, pareto
from reidflow.figures.labels import _overlap, place_labels
from reidflow.figures.style import Heading

HEADING = Heading("Question?")


def test_the_means_of_rare_and_common_identities_are_those_of_the_table(tmp_path: Path) -> None:
    table = planted.comparisons(2)
    identities.draw(table, HEADING, {"svg": tmp_path / "i.svg"})
    own = table.filter(pl.col("delta").is_not_null())
    middle = own["train_images"].median()
    for rows in (own.filter(pl.col("train_images") <= middle), own.filter(pl.col("train_images") > middle)):
        assert f"{rows['delta'].mean():+.3f}".replace("-", "\u2212") in words(tmp_path / "i.svg")


def test_rows_of_one_flank_do_not_count_twice(tmp_path: Path) -> None:
    table = planted.comparisons(2)
    flank = table.with_columns(pl.lit("left").alias("flank"), pl.lit(0.9).alias("delta"))
    for name, frame in (("a", table), ("b", pl.concat([table, flank]))):
        identities.draw(frame, HEADING, {"svg": tmp_path / f"{name}.svg"})
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_the_heat_map_orders_identities_from_rare_to_common_and_marks_gaps(tmp_path: Path) -> None:
    table = planted.comparisons(12).filter((pl.col("identity") != "animal 3") | (pl.col("arm") != "arm_09"))
    identities.draw(table.sample(fraction=1, shuffle=True, seed=0), HEADING, {"svg": tmp_path / "i.svg"})
    found = words(tmp_path / "i.svg")
    assert [w for w in found if w.startswith("animal")] == [f"animal {i}" for i in range(12)]
    assert any("Cells with a dot" in w for w in found)


def test_without_a_difference_the_figures_say_why(tmp_path: Path) -> None:
    identities.draw(planted.comparisons(1), HEADING, {"svg": tmp_path / "i.svg"})
    assert any("no difference to draw" in w for w in words(tmp_path / "i.svg"))
    same = planted.results(2).with_columns(parameters=pl.lit(1), flops=pl.lit(1))
    assert pareto.costs(same) == []
    pareto.draw(same, HEADING, {"svg": tmp_path / "p.svg"})
    assert any("do not differ" in w for w in words(tmp_path / "p.svg"))


def test_only_costs_that_differ_are_drawn() -> None:
    assert pareto.costs(planted.results(4)) == ["parameters", "flops"]


def test_measured_speed_is_a_cost_and_more_images_per_second_are_better(tmp_path: Path) -> None:
    table = planted.results(4).with_columns(
        latency_ms=pl.Series([4.0, 3.0, 2.0, 1.0]), throughput=pl.Series([10.0, 20.0, 30.0, 40.0])
    )
    assert pareto.costs(table) == ["parameters", "flops", "latency_ms", "throughput"]
    assert {"throughput", "images_per_second"} == set(pareto.MORE_IS_BETTER)
    pareto.draw(table, HEADING, {"svg": tmp_path / "p.svg"})
    assert {"latency of one image, ms", "images per second, forward"} <= set(words(tmp_path / "p.svg"))


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    generator = np.random.default_rng(0)
    for more_is_better in (False, True):
        x, y = generator.integers(0, 9, 40).tolist(), generator.integers(0, 9, 40).tolist()
        cost = [-v for v in x] if more_is_better else x
        kept = {(x[i], y[i]) for i in pareto._front(x, y, more_is_better)}
        unbeaten = {
            (x[i], y[i])
            for i in range(40)
            if not any(cost[j] <= cost[i] and y[j] >= y[i] and (cost[j], y[j]) != (cost[i], y[i]) for j in range(40))
        }
        assert kept == unbeaten


def test_labels_cover_no_other_label_and_no_point() -> None:
    generator = np.random.default_rng(3)
    points = [tuple(p) for p in generator.uniform((0.2, 0.2), (3.8, 2.6), (20, 2)).tolist()]
    sizes = [(0.5, 0.13)] * 20
    centres = place_labels(points, sizes, 4.0, 2.8, 0.04)
    boxes = [(x - 0.25, y - 0.065, x + 0.25, y + 0.065) for x, y in centres]
    assert all(_overlap(a, b) < 1e-9 for a, b in combinations(boxes, 2))
    marks = [(x - 0.04, y - 0.04, x + 0.04, y + 0.04) for x, y in points]
    assert all(_overlap(a, b) < 1e-9 for a in boxes for b in marks)
    assert all(b[0] >= -1e-9 and b[2] <= 4 + 1e-9 and b[1] >= -1e-9 and b[3] <= 2.8 + 1e-9 for b in boxes)


def test_the_leaderboard_keeps_groups_apart_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    other = planted.board(3).with_columns(group=pl.lit("B"), leaking=pl.lit(True), rank=pl.lit(1, pl.UInt32))
    table = pl.concat([planted.board(9), other], how="diagonal")
    unscored = table.head(1).with_columns(group=pl.lit(None, pl.String), id_map=pl.lit(None, pl.Float64))
    leaderboard.draw(pl.concat([table, unscored]), HEADING, {"svg": tmp_path / "l.svg"}, most=4)
    found = words(tmp_path / "l.svg")
    assert "Group A: demo" in found
    assert "Group B: demo. The split leaks: every score is too high." in found
    assert any("(5 lower rows not drawn)" in w for w in found)
    assert any("not drawn: 1." in w for w in found)


def test_identities_without_training_images_are_drawn_side_by_side(tmp_path: Path) -> None:
    table = planted.comparisons(2).with_columns(train_images=pl.lit(0))
    identities.draw(table, HEADING, {"svg": tmp_path / "i.svg"})
    found = words(tmp_path / "i.svg")
    assert {"identities, all with 0 training images", "mean over identities"} <= set(found)
    assert f"{table['delta'].mean():+.3f}".replace("-", "\u2212") in found
