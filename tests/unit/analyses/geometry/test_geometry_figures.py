"""Figures of geometries: every arm on them, spaces in disks, and words where there is nothing to draw."""

from pathlib import Path

import figure_tables as planted
import numpy as np
import polars as pl
import pytest
from svg_text import shows, words

from reidflow.analyses.geometry import figures as geometry
from reidflow.analyses.geometry.tables import ARMS, RADII, RUNS
from reidflow.figures.style import Heading

HEADING = Heading("Which <space> is worth $5?", "demo (demo scale)")


def row(contract, **values) -> dict:
    return dict.fromkeys(contract.columns) | values


def arms(count: int, score: float | None = 0.5) -> pl.DataFrame:
    rows = [
        row(ARMS, arm=name, geometry="poincare", id_map=score, id_map_cosine=0.4, sharpness=0.1, rarity=-0.2)
        for name in planted.names(count)
    ]
    return pl.DataFrame(rows, schema=ARMS.columns)


def runs(count: int) -> pl.DataFrame:
    rows = [
        row(RUNS, arm=name, seed=seed, id_map=0.5 + 0.01 * seed, id_map_cosine=None if seed else 0.4)
        for name in planted.names(count)
        for seed in range(3)
    ]
    return pl.DataFrame(rows, schema=RUNS.columns)


def radii(count: int) -> pl.DataFrame:
    rows = [
        row(RADII, arm=name, image=f"{i}", identity=f"id {i % 4}", radius=1.0 + i, sharpness=10.0**i, train_images=i)
        for name in planted.names(count)
        for i in range(6)
    ]
    return pl.DataFrame(rows, schema=RADII.columns)


def pictures(count: int) -> dict[str, geometry.Picture]:
    identities = [f"<b>{i}</b> $x_{i}$" for i in range(12)]
    points = np.random.default_rng(0).uniform(-0.7, 0.7, (12, 2))
    spaces = ["hypersphere", "euclidean", "poincare", "lorentz"]
    return {
        name: geometry.Picture(spaces[i % 4], points, identities, 0.5) for i, name in enumerate(planted.names(count))
    }


DRAW = {
    "geodesic": lambda n, out: geometry.draw_geodesic(arms(n), runs(n), HEADING, out),
    "radii": lambda n, out: geometry.draw_radii(arms(n), radii(n), HEADING, out),
    "projections": lambda n, out: geometry.draw_projections(pictures(n), HEADING, out),
}


@pytest.mark.parametrize("count", [2, 9])
@pytest.mark.parametrize("name", DRAW)
def test_every_arm_stands_on_the_figure_whatever_its_name(name: str, count: int, tmp_path: Path) -> None:
    DRAW[name](count, {"svg": tmp_path / "figure.svg"})
    assert not [arm for arm in planted.names(count) if not shows(tmp_path / "figure.svg", arm)]
    assert HEADING.title in words(tmp_path / "figure.svg")


@pytest.mark.parametrize("name", DRAW)
def test_the_same_tables_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    for copy in ("a", "b"):
        DRAW[name](3, {"svg": tmp_path / f"{copy}.svg", "png": tmp_path / f"{copy}.png"})
    for kind in ("svg", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_correlations_stand_beside_their_panels(tmp_path: Path) -> None:
    DRAW["radii"](2, {"svg": tmp_path / "figure.svg"})
    assert {"rho 0.10", "rho -0.20"} <= set(words(tmp_path / "figure.svg"))


def test_where_nothing_is_finite_words_say_so(tmp_path: Path) -> None:
    out = {"svg": tmp_path / "figure.svg"}
    geometry.draw_geodesic(arms(2, None), runs(2), HEADING, out)
    assert "No arm has a score." in words(tmp_path / "figure.svg")
    nothing = radii(2).with_columns(radius=pl.lit(None, pl.Float64))
    for draw in (
        lambda: geometry.draw_radii(arms(2), nothing, HEADING, out),
        lambda: geometry.draw_projections({}, HEADING, out),
    ):
        draw()
        assert "No arm has finite embeddings." in words(tmp_path / "figure.svg")
