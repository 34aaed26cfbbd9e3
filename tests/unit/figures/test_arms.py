from pathlib import Path

import figure_tables as planted
import polars as pl
from svg_text import coloured, words

from reidflow.figures import arms
from reidflow.figures.style import INK, MUTED, VERDICTS, Heading

HEADING = Heading("Question?")


def drawn(results: pl.DataFrame, tmp_path: Path) -> Path:
    arms.draw(results, HEADING, {"svg": tmp_path / "arms.svg"})
    return tmp_path / "arms.svg"


def test_each_verdict_has_its_declared_colour(tmp_path: Path) -> None:
    path = drawn(planted.results(6), tmp_path)
    assert {verdict: coloured(path, f"  {verdict}") for verdict in VERDICTS} == {
        verdict: {colour} for verdict, colour in VERDICTS.items()
    }
    assert len(set(VERDICTS.values())) == 3


def test_the_baseline_is_marked_and_not_compared_with_itself(tmp_path: Path) -> None:
    path = drawn(planted.results(3), tmp_path)
    assert coloured(path, "base") == {INK}
    assert [w for w in words(path) if w == "baseline"] == ["baseline"] * 2  # the legend and its row
    assert sum(w.startswith(("+", "\u2212")) and "  " in w for w in words(path)) == 2


def test_arms_stand_in_the_order_of_their_value_and_those_without_one_last(tmp_path: Path) -> None:
    table = planted.results(9).with_columns(
        pl.when(pl.col("arm") == "arm_07").then(None).otherwise(pl.col("id_map")).alias("id_map")
    )
    found = words(drawn(table, tmp_path))
    valued = table.filter(pl.col("id_map").is_not_null()).sort("id_map", descending=True)
    shown = [w for w in found if w in {f"{v:.3f}" for v in valued["id_map"]}]
    assert shown == [f"{v:.3f}" for v in valued["id_map"]]
    assert found.index("arm_07") > found.index("arm_08")
    assert "no value" in found


def test_an_arm_that_could_not_be_run_says_so(tmp_path: Path) -> None:
    empty = dict.fromkeys(["id_map", "id_map_by_seed", "chance", "delta", "delta_low", "delta_high"])
    missing = {**planted.results(2).row(1, named=True), **empty, "arm": "gone", "verdict": "unavailable"}
    table = pl.DataFrame([*planted.results(2).to_dicts(), missing], infer_schema_length=None)
    path = drawn(table, tmp_path)
    assert coloured(path, "unavailable") == {MUTED}


def test_differences_from_controls_stand_below_where_there_are_any(tmp_path: Path) -> None:
    plain = planted.results(3)
    arm = plain["arm"][1]
    own = {"against": arm, "against_delta": 0.0321, "against_low": 0.01, "against_high": 0.05}
    own |= {"against_verdict": "better", "against_smallest_detectable": 0.02}
    rows = [row | (own if i == 2 else dict.fromkeys(own)) for i, row in enumerate(plain.to_dicts())]
    path = drawn(pl.DataFrame(rows, infer_schema_length=None), tmp_path)
    found = words(path)
    assert found.count("Against their controls") == 1
    assert f"against {arm}" in found
    assert coloured(path, "+0.032  better") == {VERDICTS["better"]}
    assert "Against their controls" not in words(drawn(plain, tmp_path))
    none = [row | dict.fromkeys(own) for row in plain.to_dicts()]
    assert "Against their controls" not in words(drawn(pl.DataFrame(none, infer_schema_length=None), tmp_path))


def test_one_seed_without_an_interval_is_drawn(tmp_path: Path) -> None:
    table = planted.results(2).with_columns(
        pl.lit(None, pl.Float64).alias("delta_low"),
        pl.lit(None, pl.Float64).alias("delta_high"),
        pl.lit(None, pl.Float64).alias("smallest_detectable"),
        pl.lit("inconclusive").alias("verdict"),
    )
    assert "too small to detect" not in words(drawn(table, tmp_path))
