"""Ranking by local features: its table by hand, the queries and pairs of the sheets, lines where the matches are."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from reidflow.analyses.matching import sheets
from reidflow.analyses.matching.cost import COST
from reidflow.analyses.matching.findings import sections
from reidflow.analyses.matching.pairs import BOTH, FOUND, PAIRS, WRONG, Shown, choose, pairs_table
from reidflow.analyses.matching.report import scaled, shown_arm
from reidflow.analyses.matching.tables import KEYPOINTS, MATCHING, keypoints_table, matching_table
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.figures import contact
from reidflow.figures.style import GREEN, VERMILLION, Heading
from reidflow.spec.ranking import Ranking

HEADING = Heading("Which <way> for $5?", "demo (demo scale)")
SIFT = {"matcher": {"name": "rootsift", "size": 64}}
RANKINGS = {
    "embedding": None,
    "alone": Ranking.model_validate({"scores": [SIFT]}),
    "fused_*": Ranking.model_validate({"scores": ["embedding", SIFT], "shortlist": 20}),
}


def planted() -> pl.DataFrame:
    """Return MATCHING of three arms, of which the last gains two first candidates and loses one."""
    rows = [
        (arm, seed, f"q{n}", ap, hit)
        for arm, values in {
            "embedding": [(0.5, 2), (0.5, 3), (1.0, 1), (0.5, 2), (None, None)],
            "alone": [(0.5, 2), (0.5 + 1e-12, 3), (1.0, 1), (0.25, 4), (None, None)],
            "fused_*": [(1.0, 1), (0.9, 1), (0.5, 2), (0.5, 2), (None, None)],
        }.items()
        for seed in (0,)
        for n, (ap, hit) in enumerate(values)
    ]
    schema = {"arm": pl.String, "seed": pl.Int64, "image": pl.String, "ap": pl.Float64, "first_hit": pl.Int64}
    verdicts = ["baseline", "inconclusive", "better"]
    results = pl.DataFrame(
        {"arm": list(RANKINGS), "id_map": [0.4, 0.39, 0.55], "val_id_map": [0.4, 0.7, 0.6], "top1": [0.25, 0.25, 0.5]}
        | {"delta": [None, -0.01, 0.15], "delta_low": [None, -0.1, 0.05], "delta_high": [None, 0.1, 0.3]}
        | {"verdict": verdicts, "ties_with_best": [False, False, True]}
    )
    experiment = SimpleNamespace(name="matching", arms=RANKINGS, file=SimpleNamespace(baseline="embedding"))
    weights = {"fused_*": [0.3, 0.7]}
    found = matching_table(experiment, RANKINGS, weights, results, pl.DataFrame(rows, schema=schema, orient="row"))
    MATCHING.check(found, "here")
    return found


def test_a_row_says_by_what_an_arm_ranks_and_which_first_candidates_it_gains_and_loses():
    rows = {row["arm"]: row for row in planted().to_dicts()}
    said = {arm: (row["scores"], row["shortlist"], row["fusion"], row["weights"]) for arm, row in rows.items()}
    assert said == {
        "embedding": ("embedding", None, None, None),
        "alone": ("rootsift lnbnn", None, None, None),
        "fused_*": ("embedding, rootsift lnbnn", 20, "calibrated", [0.3, 0.7]),
    }
    names = ("compared", "found", "lost", "better", "worse")
    assert [tuple(row[name] for name in names) for row in rows.values()] == [
        (4, 0, 0, 0, 0),
        (4, 0, 0, 0, 1),
        (4, 2, 1, 2, 1),
    ]


def test_the_sheets_show_the_arm_that_is_best_on_validation():
    table = planted()
    assert shown_arm(table, RANKINGS) == "alone"
    assert shown_arm(table.with_columns(val_id_map=pl.lit(None, pl.Float64)), RANKINGS) == "fused_*"
    assert shown_arm(table.filter("baseline"), RANKINGS) is None


def test_statements_name_gains_with_their_numbers():
    counts = {"a": np.array([0, 10, 20, 30, 40])}
    keypoints = keypoints_table(counts, {"a": {"matcher": {"name": "rootsift", "size": 64}, "dim": 128}})
    KEYPOINTS.check(keypoints, "here")
    table = planted()
    shown = table.filter(pl.col("arm") == "fused_*").row(0, named=True)
    found = sections(table, keypoints, pairs_of(*world())[0], COST.empty(), shown, {"alone", "fused_*"})
    text = " ".join(line for section in found for line in section.statements)
    assert "Better than **embedding**: **fused\\_\\*** (+0.150 [+0.050, +0.300])." in text
    assert "50% of the queries of all seeds that **embedding** misses (2 of 4), and loses it for 25%" in text
    assert "top-1 0.25 becomes 0.50" in text
    assert "**rootsift**: 20 keypoints in an image (quartiles 10 and 30), none in 1 image of 5." in text


def test_statements_on_local_features_leave_out_arms_that_rank_by_the_embedding_alone():
    table = planted()
    other = pl.col("arm") == "alone"
    table = table.with_columns(verdict=pl.when(other).then(pl.lit("better")).otherwise("verdict"))
    keypoints, pairs = KEYPOINTS.empty(), PAIRS.empty()
    shown = table.filter(pl.col("arm") == "fused_*").row(0, named=True)
    (added, *_) = sections(table, keypoints, pairs, COST.empty(), shown, {"fused_*"})
    text = " ".join(added.statements)
    assert "Better than **embedding**: **fused\\_\\*** (" in text and "alone" not in text
    assert sections(table, keypoints, pairs, COST.empty(), None, set()) == []


PEOPLE = {"a": 3, "b": 3, "c": 3, "d": 1}


def world() -> tuple[Layout, Retrieval, Retrieval]:
    """Return a layout whose queries are all test images, and how they are ranked before and after.

    Before, every query ranks the images in the order of the gallery; after, those of its own identity come first, but for
    queries of b, whose own come last.
    """
    names = [f"{who}{n}" for who, count in PEOPLE.items() for n in range(count)]
    split = pl.DataFrame({"image": names, "identity": [name[0] for name in names], "group": names})
    split = split.with_columns(role=pl.lit("test"), side=pl.lit(None, pl.String))
    layout = Layout(split, pl.DataFrame({"image": names, "flank": [None] * len(names)}), "role")
    count = len(names)
    before = np.tile(np.linspace(0.9, 0.1, count, dtype=np.float32), (count, 1))
    same = layout.identity[:, None] == layout.identity
    after = before + np.where(same, np.where(split["identity"].to_numpy() == "b", -2, 2)[:, None], 0)
    plain = layout.retrieval(np.zeros((count, 1), np.float32), np.zeros((count, 1), np.float32), None)
    return layout, *(replace(plain, matrix=matrix) for matrix in (before, after.astype(np.float32)))


def matches(query: int, place: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count = 1 + (query + place) % 3
    return np.full((count, 2), 8.0), np.full((count, 2), 20.0), np.arange(1.0, count + 1)


def pairs_of(layout: Layout, before: Retrieval, after: Retrieval) -> tuple[pl.DataFrame, list[Shown]]:
    shown = choose(layout, before, after)
    found = pairs_table(layout, shown, before, after, matches, "fused_*", 7)
    PAIRS.check(found, "here")
    return found, shown


def test_pairs_are_those_that_explain_an_answer():
    found, _ = pairs_of(*world())
    said = found.select("sheet", "query", "image", "right", "rank_before", "rank").rows()
    assert said == [
        (FOUND, "c0", "c1", True, 7, 1),
        (FOUND, "c0", "a0", False, 1, 3),
        (WRONG, "b0", "a0", False, 1, 1),
        (WRONG, "b0", "b1", True, 4, 8),
        (BOTH, "a0", "a1", True, 1, 1),
    ]
    row = found.row(0, named=True)
    assert (row["matches"], row["local"], row["arm"], row["seed"]) == (2, 3.0, "fused_*", 7)


def side(points: list, box: sheets.Box = (0.0, 0.0, 32.0, 32.0)) -> sheets.Side:
    return sheets.Side(np.full((32, 32, 3), 128, np.uint8), np.array(points, float).reshape(-1, 2), box)


def test_lines_join_the_matched_points():
    pair = sheets.Pair(
        side([(3.5, 7.5), (27.5, 15.5)]),
        side([(15.5, 3.5), (23.5, 27.5)], (8.0, 0.0, 24.0, 32.0)),
        np.array([2.0, 1.0]),
    )
    # 160 pixels wide: the query 5 times as large; the candidate's part, 16 by 32, is 80 wide, in the middle, below a gap.
    down = 160 + sheets.BETWEEN
    expected = [(140.0, 80.0, 40 + 16 * 5.0, down + 140.0, 0.5), (20.0, 40.0, 40 + 8 * 5.0, down + 20.0, 1.0)]
    np.testing.assert_allclose(sheets.lines(pair, 160, 2.0), expected)
    drawn = sheets.picture(pair, 160, 2.0)
    assert drawn.shape == (320 + sheets.BETWEEN, 160, 3)
    for x, y, other_x, other_y, strength in expected:
        for at in ((x, y), (other_x, other_y)):
            pixel = drawn[round(at[1]), round(at[0])]
            assert np.abs(pixel.astype(int) - sheets.colour_of(strength)).max() < 40
    assert (drawn[155, 3] == 128).all()


def test_points_of_a_scaled_square_stay_on_their_pixels():
    square = np.zeros((8, 8), np.uint8)
    square[2, 5] = 255
    larger = np.asarray(Image.fromarray(square).resize((32, 32), Image.Resampling.NEAREST))
    x, y = scaled(np.array([[5.0, 2.0]]), 4.0)[0]
    assert (x, y) == (np.nonzero(larger)[1].mean(), np.nonzero(larger)[0].mean())


def test_only_the_strongest_matches_are_drawn_the_strongest_on_top():
    weights = np.random.default_rng(0).permutation(100).astype(float)
    pair = sheets.Pair(side(np.full((100, 2), 3.0)), side(np.full((100, 2), 9.0)), weights)
    assert weights[pair.strongest()].tolist() == list(range(100 - sheets.DRAWN, 100))


def test_what_is_shown_of_an_image_holds_its_keypoints():
    assert sheets.part_with(np.zeros((0, 2)), 64) == (0, 0, 64, 64)
    left, top, right, bottom = sheets.part_with(np.array([[10.0, 20.0], [60.0, 30.0]]), 64)
    assert 0 < left < 10 and 0 < top < 20 and 30 < bottom < 40 and right == 64


def test_a_row_of_a_sheet_is_a_query_with_marks_and_captions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    found, _ = pairs_of(*world())
    drawn = [sheets.Pair(side([(3, 3)]), side([(9, 9)]), np.array([float(n)])) for n in range(1, len(found) + 1)]
    seen = []
    monkeypatch.setattr(sheets, "write_sheet", lambda rows, *_: seen.append(rows))
    for name in (FOUND, WRONG, BOTH):
        sheets.pairs_sheet(found, drawn, name, HEADING, tmp_path / "unused.png")
    assert [[(t.mark, t.colour) for t in rows[0].tiles] for rows in seen] == [
        [(sheets.RIGHT, GREEN), (sheets.WRONG, VERMILLION)],
        [(sheets.WRONG, VERMILLION), (sheets.RIGHT, GREEN)],
        [(sheets.RIGHT, GREEN)],
    ]
    assert seen[0][0].words[:2] == ["c", "query c0"]
    first = seen[0][0].tiles[0]
    assert (
        first.caption.split("\n")[:2] == ["c, c1", "rank 7 before, 1 now; 2 matches"] and "local 3.000" in first.caption
    )
    assert seen[2][0].words == () and seen[2][0].tiles[0].caption.startswith("query a0\na, a1\n")
    # Weights are compared over a sheet: the second pair has its strongest match.
    assert (seen[0][0].tiles[1].image == sheets.picture(drawn[1], sheets.TILE - 10, 2.0)).all()


def test_sheets_are_the_same_bytes_and_say_where_nothing_is_shown(tmp_path: Path):
    found, _ = pairs_of(*world())
    drawn = [sheets.Pair(side([(3, 3)]), side([(9, 9)]), np.ones(1))] * len(found)
    for name in ("a", "b"):
        sheets.pairs_sheet(found, drawn, FOUND, HEADING, tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    sheets.pairs_sheet(PAIRS.empty(), [], FOUND, HEADING, tmp_path / "none.png")
    assert contact.MARGIN < Image.open(tmp_path / "none.png").height < 200
