from pathlib import Path

import polars as pl
import pytest
from figure_tables import names
from svg_text import coloured, shows, words

from reidflow.analyses.backgrounds import figures as backgrounds
from reidflow.figures.style import BLUE, INK, MUTED, VERMILLION, Heading
from reidflow.spec.errors import ReidflowError

HEADING = Heading("Which <background> costs $5?", "demo")
VERSIONS = ["original", "base", "blur", "background_only", "unrelated_background", "silhouette"]


def matrix(arms: list[str], versions: list[str] = VERSIONS) -> pl.DataFrame:
    rows = []
    for i, arm in enumerate(arms):
        for k, version in enumerate(versions):
            for mode in ("both", "query") if version != "original" else ("both",):
                delta = None if version == "original" else (0.02 if k == 2 else -0.1 * k - 0.01 * i)
                rows.append(
                    {
                        "arm": arm,
                        "tested_on": version,
                        "mode": mode,
                        "own": arm == version,
                        "id_map": 0.7 + (delta or 0.0) / 2,
                        "chance": 0.05,
                        "delta": delta,
                        "verdict": "reference" if delta is None else "inconclusive" if k == 2 else "worse",
                    }
                )
    return pl.DataFrame(rows, schema_overrides={"delta": pl.Float64})


def reliance(arms: list[str]) -> pl.DataFrame:
    verdicts = ["lower", "inconclusive", "higher"]
    rows = []
    for i, arm in enumerate(arms):
        value = 0.5 - 0.05 * i
        rows.append(
            {
                "arm": arm,
                "baseline": i == 0,
                "background": 0.3,
                "control": 0.06,
                "foreground": 0.5,
                "silhouette": 0.2,
                "chance": 0.05,
                "reliance": value,
                "low": value - 0.1,
                "high": value + 0.1,
                "verdict": verdicts[i % 3] if i else "baseline",
            }
        )
    return pl.DataFrame(rows)


DRAW = {
    "tested_on": lambda arms, out: backgrounds.draw_tested_on(matrix(arms), HEADING, out),
    "query_only": lambda arms, out: backgrounds.draw_query_only(matrix(arms), HEADING, out),
    "reliance": lambda arms, out: backgrounds.draw_reliance(reliance(arms), HEADING, out),
}


@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize("name", DRAW)
def test_every_arm_stands_on_the_figure_whatever_its_name(name: str, count: int, tmp_path: Path) -> None:
    DRAW[name](names(count), {"svg": tmp_path / "figure.svg"})
    assert not [arm for arm in names(count) if not shows(tmp_path / "figure.svg", arm)]
    assert HEADING.title in words(tmp_path / "figure.svg")


@pytest.mark.parametrize("name", DRAW)
def test_the_same_table_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        DRAW[name](names(4), tmp_path / folder / "figure")
    for kind in ("png", "svg"):
        one, two = (tmp_path / folder / f"figure.{kind}" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_each_cell_shows_value_and_change_of_its_own_mode(tmp_path: Path) -> None:
    table = matrix(["base", "arm"], ["original", "gray"]).with_columns(
        id_map=pl.Series([0.711, 0.622, 0.533, 0.744, 0.655, 0.566]),
        delta=pl.Series([None, -0.089, -0.178, None, -0.067, 0.123]),
    )
    backgrounds.draw_tested_on(table, HEADING, {"svg": tmp_path / "both.svg"})
    backgrounds.draw_query_only(table, HEADING, {"svg": tmp_path / "query.svg"})
    both, query = words(tmp_path / "both.svg"), words(tmp_path / "query.svg")
    assert {"0.711", "0.622", "−0.089", "0.744", "0.655", "−0.067"} <= set(both)
    assert not {"0.533", "−0.178"} & set(both)
    assert {"0.533", "−0.178", "0.566", "+0.123"} <= set(query)
    assert not {"0.711", "−0.089"} & set(query)


def test_more_versions_than_fit_stand_in_bands(tmp_path: Path) -> None:
    versions = ["original", *(f"version_{n:02d}" for n in range(24))]
    backgrounds.draw_tested_on(matrix(["base", "arm"], versions), HEADING, {"svg": tmp_path / "figure.svg"})
    found = words(tmp_path / "figure.svg")
    assert all(shows(tmp_path / "figure.svg", version) for version in versions)
    assert found.count("arm") == found.count("base") == 2


def test_only_the_original_leaves_no_altered_query_to_draw(tmp_path: Path) -> None:
    backgrounds.draw_query_only(matrix(["base"], ["original"]), HEADING, {"svg": tmp_path / "figure.svg"})
    assert "No version but the original was tested." in words(tmp_path / "figure.svg")


def test_a_verdict_has_its_colour_and_what_is_not_defined_says_so(tmp_path: Path) -> None:
    table = reliance(["base", "a", "b", "c"]).with_columns(
        pl.when(pl.col("arm") == "c").then(None).otherwise(pl.col(name)).alias(name)
        for name in ("reliance", "low", "high")
    )
    backgrounds.draw_reliance(table, HEADING, {"svg": tmp_path / "figure.svg"})
    path = tmp_path / "figure.svg"
    assert coloured(path, "  baseline") == {INK}
    assert coloured(path, "  inconclusive") == {MUTED}
    assert coloured(path, "  higher") == {VERMILLION}
    assert coloured(path, "not defined") == {MUTED}
    backgrounds.draw_reliance(reliance(["base", "x", "y", "z"]), HEADING, {"svg": path})
    assert coloured(path, "  lower") == {BLUE}


def test_a_table_without_a_needed_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReidflowError, match=r"figure 'reliance'.*'silhouette'"):
        backgrounds.draw_reliance(reliance(["base"]).drop("silhouette"), HEADING, tmp_path / "figure")
    for name, draw in (("tested_on", backgrounds.draw_tested_on), ("query_only", backgrounds.draw_query_only)):
        with pytest.raises(ReidflowError, match=f"figure '{name}'.*'chance'"):
            draw(matrix(["base"]).drop("chance"), HEADING, tmp_path / "figure")
    assert not list(tmp_path.iterdir())
