"""Every figure shows what its table says: the positions of its marks and its printed values, not only its words.

The cases are in tests/unit/**/figure_cases.py: CASES, name -> function that returns a figure drawn from a planted table
and what `drawn` must return of it, computed from the table without the figure's code.
"""

import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import drawn as canvas
import pytest
from matplotlib.figure import Figure

import reidflow
from reidflow.figures.parts import FIGURES, Points, drawn

Case = tuple[Figure, dict[str, Points | str]]
UNIT = Path(__file__).parents[1]


def cases() -> Iterator[tuple[str, Callable[[], Case]]]:
    for file in sorted(UNIT.rglob("figure_cases.py")):
        sys.path.insert(0, str(file.parent))
        spec = importlib.util.spec_from_file_location(f"figure_cases_{file.parent.name}", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, make in module.CASES.items():
            yield f"{file.parent.name}: {name}", make


CASES = dict(cases())


@cache
def case(name: str) -> Case:
    return CASES[name]()


@pytest.mark.parametrize("name", CASES)
def test_a_figure_shows_what_its_table_says(name: str) -> None:
    figure, expected = case(name)
    found = drawn(figure)
    assert sorted(found) == sorted(expected)
    for gid, marks in expected.items():
        if isinstance(marks, str):
            assert found[gid] == marks, gid
        else:
            assert len(found[gid]) == len(marks), gid
            for point, other in zip(found[gid], marks, strict=True):
                assert point == pytest.approx(other, rel=1e-9, abs=1e-9), gid


@pytest.mark.parametrize("name", CASES)
def test_no_text_leaves_the_canvas_or_covers_another(name: str) -> None:
    figure = canvas.laid_out(case(name)[0])
    assert not canvas.outside(figure)
    assert not canvas.overlapping(figure)


def test_every_figure_has_a_case_that_holds_its_marks() -> None:
    for package in pkgutil.walk_packages(reidflow.__path__, "reidflow."):
        if package.name.startswith("reidflow.figures.") or package.name.endswith(".figures"):
            importlib.import_module(package.name)
    held = {figure.get_gid() for figure, expected in map(case, CASES) if expected}
    assert sorted(FIGURES) == sorted(held)
