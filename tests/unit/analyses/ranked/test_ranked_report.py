"""Queries with their best candidates: tables and statements of planted rankings, rows and marks of the sheets."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from reidflow.analyses.ranked import sheets as ranked
from reidflow.analyses.ranked.findings import confusions, first_candidates, sections
from reidflow.analyses.ranked.tables import QUANTILES, WORST, examples, worst_table
from reidflow.evaluation.ranked_runs import scored_queries, shown_runs
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


def pictures() -> ranked.ImageRows:
    names = [*QUERIES, "q5", "a1", "b1", "b2", "c1"]
    shades = np.linspace(10, 200, len(names)).astype(np.uint8)
    images = np.broadcast_to(shades[:, None, None, None], (len(names), 32, 32, 3))
    return ranked.ImageRows.of(images, pl.DataFrame({"image": names}))


def test_worst_queries_start_with_the_hardest_identity():
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
    assert len(examples(many)) == len(QUANTILES)


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


def test_statements_count_hits_and_name_the_confusions():
    found = sections(rankings(), per_query(), worst_table(per_query(), rankings()))
    first, hardest = (section.statements for section in found)
    # q1 alone has a positive first; q3 and q4 among the two best; q5 has no positive and does not count.
    hits = "(seed 3): the first candidate is a positive for 1 of 4 queries (25%), one of the 2 best for 3 (75%)."
    assert first == [
        f"**base** {hits}",
        f"**new** {hits}",
        "Most frequent confusions of **new**: **bob\\_\\*** taken for **cy** (2 of its 2 queries), **ann** taken for "
        "**bob\\_\\*** (1 of its 2 queries).",
    ]
    assert hardest == [
        "Hardest for **new** (seed 3), of 2 identities: **bob\\_\\*** (mean AP 0.50 over 2 queries), **ann** (mean AP 0.62 "
        "over 2 queries). A single run: their order is not tested.",
        "The worst query of 2 of 2 identities has a wrong first candidate.",
    ]
    assert found[1].tables[0].rows[1] == ["ann", "2", "0.625", "q2", "0.250", "4", "b1", "bob_*"]


def test_an_identity_that_several_others_are_taken_for_is_named():
    misleading = rankings(("new",)).with_columns(
        identity=pl.when(pl.col("query").is_in(["q2", "q3", "q4"]) & (pl.col("rank") == 1))
        .then(pl.lit("cy"))
        .otherwise("identity")
    )
    found = confusions(first_candidates(misleading, per_query(), "new", 3))
    assert found["hub"] == {"identity": "cy", "count": 3, "others": 2} and found["wrong"] == 3
    text = " ".join(sections(misleading, per_query(), worst_table(per_query(), misleading))[0].statements)
    assert "Most wrong first candidates show **cy**: 3 of 3, for queries of 2 other identities." in text


def test_a_run_without_a_wrong_first_candidate_says_so():
    perfect = rankings(("new",)).with_columns(identity="query_identity", right=pl.lit(True))
    first, hardest = sections(perfect, per_query(), worst_table(per_query(), perfect))
    assert "**new** has no wrong first candidate." in first.statements
    assert "The worst query of 0 of 2 identities has a wrong first candidate." in hardest.statements


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


def test_a_row_is_the_query_and_its_best_candidates_with_borders_and_marks(monkeypatch: pytest.MonkeyPatch):
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


def test_positives_and_negatives_are_marked_without_colours(tmp_path: Path):
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
