"""Sheets of queries with their best candidates: planted rankings, and where the pictures and marks stand."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from reidflow.analyses.ranked import sheets as ranked
from reidflow.analyses.ranked.findings import sections
from reidflow.analyses.ranked.tables import PLACES, WORST, examples, scored_queries, shown_runs, worst_table
from reidflow.evaluation.retrieval_queries import RANKED
from reidflow.evaluation.runs import TrainedRun
from reidflow.figures import contact
from reidflow.figures.style import GREEN, INK, VERMILLION, Heading

HEADING = Heading("Which <way> for $5?", "demo (demo scale)")
QUERIES = {"q1": ("ann", 1.0, 1), "q2": ("ann", 0.25, 4), "q3": ("bob_*", 0.5, 2), "q4": ("bob_*", 0.5, 2)}
FOUND = {"q1": ["a1", "b1"], "q2": ["b1", "c1"], "q3": ["c1", "b1"], "q4": ["c1", "b2"], "q5": ["a1"]}
WHO = {"a": "ann", "b": "bob_*", "c": "cy"}


def per_query(arms: tuple[str, ...] = ("base", "new")) -> pl.DataFrame:
    rows = [(arm, 3, image, who, ap, hit) for arm in arms for image, (who, ap, hit) in QUERIES.items()]
    rows += [(arm, 3, "q5", "cy", None, None) for arm in arms]
    return pl.DataFrame(rows, schema=["arm", "seed", "image", "identity", "ap", "first_hit"], orient="row")


def rankings(arms: tuple[str, ...] = ("base", "new")) -> pl.DataFrame:
    rows = []
    for arm in arms:
        for query, images in FOUND.items():
            own = QUERIES.get(query, ("cy", None, None))[0]
            for rank, image in enumerate(images, start=1):
                rows.append((arm, 3, query, own, rank, image, WHO[image[0]], 0.9 - 0.1 * rank, WHO[image[0]] == own))
    return pl.DataFrame(rows, schema=RANKED.columns, orient="row")


def pictures() -> ranked.Pictures:
    names = [*QUERIES, "q5", "a1", "b1", "b2", "c1"]
    shades = np.linspace(10, 200, len(names)).astype(np.uint8)
    images = np.broadcast_to(shades[:, None, None, None], (len(names), 32, 32, 3))
    return ranked.Pictures.of(images, pl.DataFrame({"image": names}))


def test_the_worst_query_of_each_identity_is_told_the_hardest_identity_first():
    found = worst_table(per_query(), rankings())
    WORST.check(found, "here")
    assert found["arm"].to_list() == ["base", "base", "new", "new"]
    assert found.filter(pl.col("arm") == "new").drop("arm", "seed").rows() == [
        ("bob_*", 2, 0.5, "q3", 0.5, 2, "c1", "cy"),
        ("ann", 2, 0.625, "q2", 0.25, 4, "b1", "bob_*"),
    ]


def test_examples_run_from_the_best_query_to_the_worst_and_none_comes_twice():
    queries = scored_queries(per_query(), "new", 3)
    assert queries["image"].to_list() == ["q1", "q3", "q4", "q2"]
    assert [(words, row["image"]) for words, row in examples(queries)] == [
        ("best", "q1"),
        ("upper quartile", "q3"),
        ("median", "q4"),
        ("worst", "q2"),
    ]
    assert examples(queries[:0]) == []
    many = pl.DataFrame({"image": [f"{n:03d}" for n in range(101)], "ap": np.linspace(1, 0, 101)})
    assert [row["image"] for _, row in examples(many)] == ["000", "025", "050", "075", "100"]
    assert len(examples(many)) == len(PLACES)


def test_the_baseline_and_the_best_arm_are_shown_with_their_first_seed():
    runs = [ranked_made(arm, seed) for arm in ("base", "mid", "new", "lost") for seed in (5, 6)]
    results = pl.DataFrame({"arm": ["base", "mid", "new", "lost"], "id_map": [0.5, 0.4, 0.6, None]})
    results = results.with_columns(baseline=pl.col("arm") == "base", val_id_map=pl.lit(None, pl.Float64))
    validated = results.with_columns(val_id_map=pl.Series([0.5, 0.6, 0.4, None]))
    assert [made.arm for made in shown_runs(runs, validated)] == ["base", "mid"]
    assert [(made.arm, made.seed) for made in shown_runs(runs, results)] == [("base", 5), ("new", 5)]
    level = results.with_columns(id_map=pl.lit(0.5))
    assert [made.arm for made in shown_runs(runs, level)] == ["base"]
    assert shown_runs(runs, results.with_columns(id_map=pl.lit(None, pl.Float64))) == []


def ranked_made(arm: str, seed: int) -> TrainedRun:
    return TrainedRun(arm, seed, f"{arm}-{seed}", Path("nowhere"))


def test_sentences_count_right_first_places_and_name_the_confusions():
    found = sections(rankings(), per_query(), worst_table(per_query(), rankings()))
    first, second = (" ".join(section.statements) for section in found)
    # q1 alone has the right identity first; q3 and q4 among the two best; q5 has no positive and does not count.
    assert "With **new** (seed 3) 1 of 4 queries (25%) has the right identity first, 3 (75%) among the 2 best." in first
    assert "cy for bob\\_\\* (2 of its 2 queries) and bob\\_\\* for ann (1 of its 2 queries)" in first
    assert "draws" not in first and "stands first in the wrong place" not in first
    assert "the hardest of 2 identities are bob\\_\\* (mean AP 0.50 over 2 queries) and ann" in second
    assert "The worst query of 2 of 2 identities has another identity first." in second
    assert found[1].tables[0].rows[1] == ["ann", "2", "0.625", "q2", "0.250", "4", "bob_*"]


def test_an_identity_that_draws_queries_of_several_others_is_named():
    who = {"q2": "ann", "q3": "bob_*", "q4": "bob_*"}
    drawn = rankings(("new",)).with_columns(
        identity=pl.when(pl.col("query").is_in(list(who)) & (pl.col("rank") == 1))
        .then(pl.lit("cy"))
        .otherwise("identity")
    )
    text = " ".join(sections(drawn, per_query(), worst_table(per_query(), drawn))[0].statements)
    assert "most often stands first in the wrong place is cy: for 3 queries of 2 other identities, out of 3" in text


def test_without_a_score_there_is_nothing_to_say_and_the_sheets_say_so(tmp_path: Path):
    empty = RANKED.empty()
    worst = worst_table(per_query(), empty)
    assert sections(empty, per_query(), worst) == [] and worst.is_empty()
    ranked.ranked_sheet(pictures(), empty, per_query(), HEADING, tmp_path / "a.png")
    ranked.worst_sheet(pictures(), empty, worst, HEADING, tmp_path / "b.png")


def drawn_rows(monkeypatch: pytest.MonkeyPatch, draw) -> list[contact.Row]:
    seen = []
    monkeypatch.setattr(ranked, "write_sheet", lambda rows, out, heading, tile, legend: seen.append((rows, heading)))
    draw()
    return seen[0]


def test_a_row_is_the_query_and_its_best_with_frames_and_marks(monkeypatch: pytest.MonkeyPatch):
    shown = pictures()
    rows, _ = drawn_rows(
        monkeypatch, lambda: ranked.ranked_sheet(shown, rankings(), per_query(), HEADING, Path("unused.png"))
    )
    assert [row.words[:2] for row in rows[:3]] == [
        ["best query", "base"],
        ["best query", "new"],
        ["upper quartile query", "base"],
    ]
    assert rows[0].words[2] == "AP 1.00, first match at 1"
    tiles = rows[0].tiles
    assert [(t.caption, t.colour, t.mark) for t in tiles] == [
        ("ann", INK, ""),
        ("ann 0.80", GREEN, ranked.RIGHT),
        ("bob_* 0.70", VERMILLION, ranked.WRONG),
    ]
    names = ["q1", "a1", "b1"]
    assert all((t.image == shown.images[shown.row_of[n]]).all() for t, n in zip(tiles, names, strict=True))


def test_the_sheet_of_worst_queries_says_of_how_many_identities_it_shows_the_hardest(monkeypatch: pytest.MonkeyPatch):
    worst = worst_table(per_query(), rankings())
    for most, words in ((20, "all 2 identities"), (1, "the 1 hardest of 2 identities")):
        rows, heading = drawn_rows(
            monkeypatch,
            lambda most=most: ranked.worst_sheet(pictures(), rankings(), worst, HEADING, Path("unused.png"), most=most),
        )
        assert words in heading.subtitle and "new, seed 3" in heading.subtitle
        assert [row.words[0] for row in rows] == ["bob_*", "ann"][:most]
        assert rows[0].words[1:] == ["2 queries, mean AP 0.50", "AP 0.50, first match at 2"]


def test_right_and_wrong_can_be_told_without_colours(tmp_path: Path):
    image = np.full((32, 32, 3), 128, np.uint8)
    for name, mark in (("right", ranked.RIGHT), ("wrong", ranked.WRONG), ("none", "")):
        rows = [contact.Row([contact.Tile(image, "", INK, mark)])]
        contact.write_sheet(rows, tmp_path / f"{name}.png", Heading(""), 64)
    right, wrong, none = (
        np.asarray(Image.open(tmp_path / f"{n}.png").convert("L")) for n in ("right", "wrong", "none")
    )
    corner = (slice(contact.MARGIN, contact.MARGIN + contact.SIGN),) * 2
    assert len({tuple(sheet[corner].ravel()) for sheet in (right, wrong, none)}) == 3
    assert (right[corner] > 128).mean() > 0.02 and (wrong[corner] > 128).mean() > 0.02


def test_the_same_rankings_give_the_same_bytes(tmp_path: Path):
    for name in ("a", "b"):
        ranked.ranked_sheet(pictures(), rankings(), per_query(), HEADING, tmp_path / f"{name}.png", tile=48)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
