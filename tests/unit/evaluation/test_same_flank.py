"""Candidates of the query's flank alone: by hand, by looking at every pair, and as rankings of each flank by itself."""

import numpy as np
import polars as pl
import pytest

from reidflow.evaluation.layout import Layout
from reidflow.evaluation.metrics import pooled_metrics
from reidflow.evaluation.retrieval_queries import best_candidates
from reidflow.retrieval.inference import alpha_query_expansion, database_augmentation, k_reciprocal, query_expansion
from reidflow.retrieval.submission_files import best_keys
from reidflow.splits.candidates import shared_codes

SLICE = slice(0, None)


def layout_of(rows, same=True):
    """Return the layout of rows (identity, flank, group, side): identity None for a distractor, side None for both."""
    names = [f"{i:04d}" for i in range(len(rows))]
    identity, flank, group, side = (list(column) for column in zip(*rows, strict=True))
    split = pl.DataFrame(
        {"image": names, "identity": identity, "group": group, "role": ["test"] * len(rows), "side": side},
        schema_overrides={"identity": pl.String, "side": pl.String},
    )
    texts = [[None if one is None else f"flank={one}"] for one in flank]
    if same:
        split = split.with_columns(shared=pl.Series(texts, dtype=pl.List(pl.String)))
    return Layout(split, pl.DataFrame({"image": names, "flank": flank}, schema_overrides={"flank": pl.String}), "role")


def along_a_circle(*similarities):
    return np.array([[s, np.sqrt(1 - s * s)] for s in similarities], np.float32)


def metrics_of(layout, queries, gallery):
    return pooled_metrics([layout.score(layout.retrieval(queries, gallery, None))[0]])


def test_masks_and_average_precision_by_hand():
    gallery = [
        ("a", "right", "1"), ("b", "left", "2"), ("a", "left", "3"), (None, "right", "4"), ("a", None, "5"),
        ("b", None, "6"), ("a", "left", "q"), (None, "left", "7"),
    ]  # fmt: skip
    rows = [("a", "left", "q", "query"), ("a", None, "r", "query"), *((*row, "gallery") for row in gallery)]
    layout = layout_of(rows)
    masks = layout.masks()
    left = [True, False, False, True, False, False, True, False]
    assert masks.excluded(SLICE).tolist() == [left, [False] * 8]
    assert masks.excluded(SLICE, groups=False)[0].tolist() == [True, False, False, True, False, False, False, False]
    similar = along_a_circle(0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4)
    found, table = layout.score(layout.retrieval(along_a_circle(1.0, 1.0), similar, None))
    # Of the left: b, a, a (unknown), b (unknown), nobody. Of the unknown: a, b, a, nobody, a, b, a, nobody.
    assert table["ap"].to_list() == pytest.approx([(1 / 2 + 2 / 3) / 2, (1 + 2 / 3 + 3 / 5 + 4 / 7) / 4])
    s, h = 1 / 4, sum(1 / n for n in range(1, 6))
    chance = pooled_metrics([found])["chance"]
    other = 3 / 7 + 4 / 7 * sum(1 / n for n in range(1, 9)) / 8
    assert chance == pytest.approx((s + (1 - s) * h / 5 + other) / 2)


def random_rows(seed, count=60, flanks=("left", "right", "front", None)):
    random = np.random.Generator(np.random.PCG64(seed))
    chosen = [flanks[i] for i in random.integers(0, len(flanks), count)]
    who = [None if i == 8 else f"i{i}" for i in random.integers(0, 9, count)]
    side = [None if one else "gallery" for one in who]
    groups = [
        f"{one}-{g}" if one else f"n{i}"
        for i, (one, g) in enumerate(zip(who, random.integers(0, 4, count), strict=True))
    ]
    return list(zip(who, chosen, groups, side, strict=True)), random.standard_normal((count, 5)).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_average_precisions_are_those_of_sorting_each_query_by_itself(seed):
    rows, vectors = random_rows(seed)
    layout = layout_of(rows)
    unit = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    expected = []
    for query in layout.query:
        identity, flank, group, _ = rows[query]
        open_ = [
            row for row in layout.gallery
            if row != query and rows[row][2] != group and (flank is None or rows[row][1] in (None, flank))
        ]  # fmt: skip
        order = sorted(open_, key=lambda row: -(unit[query] @ unit[row]))
        hits = np.array([rows[row][0] == identity for row in order])
        expected.append((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean() if hits.any() else np.nan)
    found = layout.average_precisions(vectors[layout.query], vectors[layout.gallery])
    assert found == pytest.approx(np.array(expected), nan_ok=True, abs=1e-9)
    metrics = metrics_of(layout, vectors[layout.query], vectors[layout.gallery])
    assert metrics["skipped"] == np.isnan(expected).sum()


@pytest.mark.parametrize("method", [query_expansion, alpha_query_expansion, database_augmentation, k_reciprocal])
def test_inference_sees_each_flank_as_if_there_were_no_other(method):
    rows, vectors = random_rows(7, 120, ("left", "right"))
    settings = {"k1": 6, "k2": 3} if method is k_reciprocal else {"k": 3}
    layout = layout_of(rows)
    whole = method.apply(layout.retrieval(vectors[layout.query], vectors[layout.gallery], None), **settings)
    of_all = layout.score(whole)[1]
    unfiltered = layout_of(rows, same=False)
    other = unfiltered.score(
        method.apply(unfiltered.retrieval(vectors[layout.query], vectors[layout.gallery], None), **settings)
    )[1]
    assert of_all["ap"].to_list() != other["ap"].to_list()
    for flank in ("left", "right"):
        kept = np.array([row[1] == flank for row in rows])
        alone = layout_of([row for row in rows if row[1] == flank], same=False)
        own = vectors[kept]
        apart = method.apply(alone.retrieval(own[alone.query], own[alone.gallery], None), **settings)
        expected = alone.score(apart)[1]["ap"].fill_null(np.nan).to_numpy()
        found = of_all.filter(pl.col("flank") == flank)["ap"].fill_null(np.nan).to_numpy()
        assert found == pytest.approx(expected, nan_ok=True, abs=1e-6)


def test_answers_and_submissions_hold_no_other_flank():
    rows, vectors = random_rows(3)
    layout = layout_of(rows)
    retrieval = layout.retrieval(vectors[layout.query], vectors[layout.gallery], None)
    flanks = np.array([row[1] for row in rows], dtype=object)
    indices, _ = best_candidates(retrieval, 60)
    keys = [[str(i) for i in range(len(side))] for side in (layout.query, layout.gallery)]
    best = best_keys(retrieval, *keys, 60)
    for place, found in enumerate(indices):
        own, shown = flanks[layout.query[place]], flanks[layout.gallery[found[found >= 0]]]
        assert len(shown) and all(own is None or flank in (None, own) for flank in shown)
        assert set(best[str(place)]) == {str(i) for i in found[found >= 0]}


def test_of_several_columns_all_that_are_known_must_be_the_same():
    layout = layout_of([("a", "left", "q", "query"), *(("a", "left", f"{i}", "gallery") for i in range(5))])
    texts = [["left", "c1"], ["left", "c1"], ["left", "c2"], ["left", None], ["right", "c1"], [None, None]]
    layout.shared = shared_codes(pl.DataFrame({"shared": texts}))
    assert layout.masks().excluded(SLICE).tolist() == [[False, True, False, True, False]]
