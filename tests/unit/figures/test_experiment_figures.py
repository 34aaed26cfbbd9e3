"""What holds for the figures of every experiment beside what their tables say (test_figures_show_their_tables.py)."""

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import figure_tables as planted
import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure
from svg_text import coloured, shows, words

from reidflow.figures import experiment, parts
from reidflow.figures.labels import _overlap, place_labels
from reidflow.figures.leaderboard import leaderboard
from reidflow.figures.style import INK, MARKERS, MUTED, VERDICTS, VERMILLION, Heading
from reidflow.spec.errors import ReidflowError

HEADING = Heading("Which <loss> costs $5 & gives $x_1$?", "demo (demo scale), 3 seeds")
DRAW: dict[str, Callable[[int], Figure]] = {
    "arms": lambda n: experiment.arms(planted.results(n), HEADING),
    "curves": lambda n: experiment.curves(histories(n), "base", HEADING),
    "identities": lambda n: experiment.identities(planted.comparisons(n), HEADING),
    "tuning": lambda n: experiment.tuning(planted.choices(n), HEADING),
    "pareto": lambda n: experiment.pareto(planted.results(n), HEADING),
    "leaderboard": lambda n: leaderboard(planted.board(n), HEADING, most=40),
}


def histories(count: int) -> dict[str, pl.DataFrame]:
    return {name: planted.history(i) for i, name in enumerate(planted.names(count))}


def saved(figure: Figure, folder: Path) -> Path:
    parts.save(figure, {"svg": folder / "figure.svg"})
    return folder / "figure.svg"


@pytest.mark.parametrize("count", [2, 40])
@pytest.mark.parametrize("name", DRAW)
def test_every_arm_stands_on_the_figure_whatever_its_name(name: str, count: int, tmp_path: Path) -> None:
    path = saved(DRAW[name](count), tmp_path)
    expected = planted.names(count)[1 if name == "identities" else 0 :]
    assert not [arm for arm in expected if not shows(path, arm)]
    assert {HEADING.title, HEADING.subtitle} <= set(words(path))


SCRIPT = """
import sys
from test_experiment_figures import DRAW
from reidflow.figures.parts import save
assert "torch" not in sys.modules
for name, draw in DRAW.items():
    figure = draw(11 if name == "identities" else 4)
    save(figure, {kind: f"{sys.argv[1]}/{name}.{kind}" for kind in ("png", "svg")})
"""


def test_the_same_tables_give_the_same_bytes_in_any_process_without_torch(tmp_path: Path) -> None:
    here = Path(__file__).parent
    for folder, seed in (("one", "1"), ("two", "2")):
        (tmp_path / folder).mkdir()
        settings = tmp_path / folder / "matplotlibrc"
        # A user's own settings must not show.
        settings.write_text("font.size: 21\naxes.facecolor: pink\n" if folder == "two" else "")
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "MATPLOTLIBRC": str(settings),
            "SOURCE_DATE_EPOCH": seed,
            "PYTHONPATH": f"{here}:{here.parents[2] / 'src'}",
        }
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / folder)]
        subprocess.run(command, check=True, env=environment, cwd=tmp_path, timeout=300)
    made = sorted(p.name for p in (tmp_path / "one").glob("*.*g"))
    assert made == sorted(f"{name}.{kind}" for name in DRAW for kind in ("png", "svg"))
    for name in made:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReidflowError, match="as png or svg, not as 'pdf'"):
        parts.save(DRAW["arms"](2), {"pdf": tmp_path / "figure.pdf"})


@pytest.mark.parametrize("name", ["arms", "identities", "pareto", "leaderboard"])
def test_a_table_without_a_needed_column_is_named(name: str) -> None:
    draw = leaderboard if name == "leaderboard" else getattr(experiment, name)
    with pytest.raises(ReidflowError, match=f"figure '{name}'.*'arm'"):
        draw(planted.results(2).drop("arm"), HEADING)


def test_marks_with_the_same_gid_cannot_be_read_back() -> None:
    figure, axes = parts.new_figure(HEADING, 2, rows=1, columns=2)
    for each in axes[0]:
        parts.points(each, "arm", [1], [2])
    with pytest.raises(ValueError, match="two marks have the gid 'point:arm'"):
        parts.drawn(figure)


def test_marks_of_an_unknown_kind_cannot_be_read_back() -> None:
    figure, axes = parts.new_figure(HEADING, 2)
    parts.mark(axes[0, 0].imshow([[1, 2]]), "image", "arm")
    with pytest.raises(TypeError, match="image:arm: what a AxesImage shows"):
        parts.drawn(figure)


def test_each_verdict_has_its_declared_colour_and_marker(tmp_path: Path) -> None:
    last = pl.col("arm") == planted.names(6)[-1]
    table = planted.results(6).with_columns(verdict=pl.when(last).then(pl.lit("equivalent")).otherwise("verdict"))
    path = saved(experiment.arms(table, HEADING), tmp_path)
    assert len(set(VERDICTS.values())) == len(set(MARKERS.values())) == 4
    assert {v: coloured(path, f"  {v}") for v in VERDICTS} == {v: {colour} for v, colour in VERDICTS.items()}
    assert coloured(path, "base") == {INK}
    assert words(path).count("baseline") == 2  # the legend and its row


def test_arms_that_tie_with_the_best_are_solid_and_the_others_hollow() -> None:
    figure, table = DRAW["arms"](6), planted.results(6)
    marks = {each.get_gid(): each for each in figure.findobj(lambda each: each.get_gid())}
    for arm, tied in table.select("arm", "ties_with_best").iter_rows():
        assert (tuple(marks[parts.gid("id_map", arm)].get_facecolor()[0]) != (1, 1, 1, 1)) == tied


def test_an_arm_that_was_not_run_says_so_in_grey(tmp_path: Path) -> None:
    empty = dict.fromkeys(["id_map", "id_map_by_seed", "chance", "delta", "delta_low", "delta_high"])
    missing = {**planted.results(2).row(1, named=True), **empty, "arm": "gone", "verdict": "unavailable"}
    table = pl.DataFrame([*planted.results(2).to_dicts(), missing], infer_schema_length=None)
    assert coloured(saved(experiment.arms(table, HEADING), tmp_path), "unavailable") == {MUTED}


def test_one_seed_without_an_interval_is_drawn(tmp_path: Path) -> None:
    empty = {column: pl.lit(None, pl.Float64) for column in ("delta_low", "delta_high", "smallest_detectable")}
    figure = experiment.arms(planted.results(2).with_columns(**empty, verdict=pl.lit("inconclusive")), HEADING)
    assert not [key for key in parts.drawn(figure) if key.startswith(("interval:", "reach:"))]
    assert "too small to detect" not in words(saved(figure, tmp_path))


def test_panels_say_what_was_not_measured(tmp_path: Path) -> None:
    plain = planted.history()
    broken = planted.history(validation=False, broken=True)
    found = words(saved(experiment.curves({"base": plain, "b": broken}, "base", HEADING), tmp_path))
    assert found.count("no validation images") == 1
    assert found.count("not finite: 1 of 3") == 1
    alone = words(saved(experiment.curves({"b": broken}, "base", HEADING), tmp_path))
    assert "training loss" in alone and "validation mAP" not in alone


def test_a_choice_on_the_edge_of_the_grid_is_flagged_and_only_that(tmp_path: Path) -> None:
    path = saved(DRAW["tuning"](8), tmp_path)
    assert words(path).count("on the edge") == 4
    assert coloured(path, "on the edge") == {VERMILLION}
    ticks = [w for w in words(path) if w in ("1e-4", "3e-4", "1e-3", "3e-3")]
    assert ticks == ["1e-4", "3e-4", "1e-3", "3e-3"] * 4


def test_the_heat_map_names_identities_from_rare_to_common_and_marks_gaps(tmp_path: Path) -> None:
    table = planted.comparisons(12).filter((pl.col("identity") != "animal 3") | (pl.col("arm") != "arm_09"))
    shuffled = table.sample(fraction=1, shuffle=True, seed=0)
    found = words(saved(experiment.identities(shuffled, HEADING), tmp_path))
    assert [w for w in found if w.startswith("animal")] == [f"animal {i}" for i in range(12)]
    assert any("Cells with a dot" in w for w in found)


@pytest.mark.parametrize("arms", [3, 12])
def test_figures_of_very_many_identities_do_not_grow_with_them(arms: int, tmp_path: Path) -> None:
    sizes = []
    for count in (1200, 4800):
        path = saved(experiment.identities(planted.comparisons(arms, count), HEADING), tmp_path)
        sizes.append(path.stat().st_size)
    assert sizes[1] < 2 * sizes[0] < 800_000


def test_figures_without_anything_to_draw_say_why(tmp_path: Path) -> None:
    same = planted.results(2).with_columns(parameters=pl.lit(1), flops=pl.lit(1))
    assert experiment.costs(same) == []
    unscored = planted.board(1).with_columns(group=pl.lit(None, pl.String))
    for figure, reason in (
        (experiment.identities(planted.comparisons(1), HEADING), "no difference to draw"),
        (experiment.pareto(same, HEADING), "do not differ"),
        (experiment.tuning({}, HEADING), "No arm of this experiment has tuned"),
        (leaderboard(unscored, HEADING), "has a score"),
    ):
        assert reason in " ".join(words(saved(figure, tmp_path)))


def test_only_costs_that_differ_are_drawn(tmp_path: Path) -> None:
    table = planted.results(4).with_columns(latency_ms=pl.Series([4.0, 3.0, 2.0, 1.0]))
    assert experiment.costs(table) == ["parameters", "flops", "latency_ms"]
    assert "latency of one image, ms" in words(saved(experiment.pareto(table, HEADING), tmp_path))


def test_labels_cover_no_other_label_and_no_point() -> None:
    generator = np.random.default_rng(3)
    points = [tuple(p) for p in generator.uniform((0.2, 0.2), (3.8, 2.6), (20, 2)).tolist()]
    centres = place_labels(points, [(0.5, 0.13)] * 20, 4.0, 2.8, 0.04)
    boxes = [(x - 0.25, y - 0.065, x + 0.25, y + 0.065) for x, y in centres]
    assert all(_overlap(a, b) < 1e-9 for a, b in combinations(boxes, 2))
    marks = [(x - 0.04, y - 0.04, x + 0.04, y + 0.04) for x, y in points]
    assert all(_overlap(a, b) < 1e-9 for a in boxes for b in marks)
    assert all(b[0] >= -1e-9 and b[2] <= 4 + 1e-9 and b[1] >= -1e-9 and b[3] <= 2.8 + 1e-9 for b in boxes)


def test_the_leaderboard_keeps_groups_apart_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    other = planted.board(3).with_columns(group=pl.lit("B"), leaking=pl.lit(True), rank=pl.lit(1, pl.UInt32))
    table = pl.concat([planted.board(9), other], how="diagonal")
    unscored = table.head(1).with_columns(group=pl.lit(None, pl.String), id_map=pl.lit(None, pl.Float64))
    found = words(saved(leaderboard(pl.concat([table, unscored]), HEADING, most=4), tmp_path))
    assert "Group A: demo" in found
    assert "Group B: demo. The split leaks: every score is too high." in found
    assert any("(5 lower rows not shown)" in w for w in found)
    assert any("not shown: 1." in w for w in found)
