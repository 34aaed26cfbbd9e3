"""What holds for all figures: the same bytes again, every arm on them, no name that breaks them."""

import os
import subprocess
import sys
from pathlib import Path

import figure_tables as planted
import pytest
from svg_text import shows, words

from reidflow.analyses.schedules import figures as rates
from reidflow.figures import arms, curves, identities, leaderboard, pareto, tuning
from reidflow.figures.style import Heading
from reidflow.spec.errors import ReidflowError

HEADING = Heading("Which <loss> costs $5 & gives $x_1$?", "demo (demo scale), 3 seeds")
DRAW = {
    "arms": lambda n, out: arms.draw(planted.results(n), HEADING, out),
    "curves": lambda n, out: curves.draw(
        {name: planted.history(i) for i, name in enumerate(planted.names(n))}, "base", HEADING, out
    ),
    "identities": lambda n, out: identities.draw(planted.comparisons(n), HEADING, out),
    "tuning": lambda n, out: tuning.draw(planted.choices(n), HEADING, out),
    "rates": lambda n, out: rates.draw(*planted.rates(n), "base", HEADING, out),
    "pareto": lambda n, out: pareto.draw(planted.results(n), HEADING, out),
    "leaderboard": lambda n, out: leaderboard.draw(planted.board(n), HEADING, out, most=40),
}


@pytest.mark.parametrize("count", [2, 12, 40])
@pytest.mark.parametrize("name", DRAW)
def test_every_arm_stands_on_the_figure_whatever_its_name(name: str, count: int, tmp_path: Path) -> None:
    DRAW[name](count, {"svg": tmp_path / "figure.svg"})
    expected = planted.names(count)[1 if name == "identities" else 0 :]
    missing = [arm for arm in expected if not shows(tmp_path / "figure.svg", arm)]
    assert not missing
    assert words(tmp_path / "figure.svg")[-1] is not None


@pytest.mark.parametrize("name", DRAW)
def test_the_title_is_written_as_given(name: str, tmp_path: Path) -> None:
    DRAW[name](2, {"svg": tmp_path / "figure.svg"})
    found = words(tmp_path / "figure.svg")
    assert HEADING.title in found
    assert HEADING.subtitle in found


SCRIPT = """
import sys
from pathlib import Path
from test_every_figure import DRAW
for name in DRAW:
    DRAW[name](11 if name == 'identities' else 4, Path(sys.argv[1]) / name)
"""


def test_the_same_tables_give_the_same_bytes_in_any_process(tmp_path: Path) -> None:
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
        subprocess.run(command, check=True, env=environment, cwd=tmp_path)
    made = sorted(p.name for p in (tmp_path / "one").glob("*.*g"))
    assert made == sorted(f"{name}.{kind}" for name in DRAW for kind in ("png", "svg"))
    for name in made:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


@pytest.mark.parametrize("name", ["arms", "identities", "pareto", "leaderboard"])
def test_a_table_without_a_needed_column_is_named(name: str, tmp_path: Path) -> None:
    draw = {"arms": arms, "identities": identities, "pareto": pareto, "leaderboard": leaderboard}[name].draw
    with pytest.raises(ReidflowError, match=f"figure '{name}'.*'arm'"):
        draw(planted.results(2).drop("arm"), HEADING, tmp_path / "figure")
    assert not list(tmp_path.iterdir())


def test_drawing_needs_no_torch() -> None:
    modules = "arms, contact, curves, identities, leaderboard, page, pareto, sheets, tuning"
    code = f"import sys\nfrom reidflow.figures import {modules}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
