import json

import numpy as np
import polars as pl
import pytest

from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.retrieval.submission_files import (
    Pairs,
    answers_json,
    as_similarities,
    best_keys,
    pair_scores,
    place_pairs,
    read_pairs,
    submission_csv,
    without_images,
)
from reidflow.spec.errors import ReidflowError

TABLE = "row_id,query_image,gallery_image\n7,b.png,a.png\n3,a.png,b.png\n5,b.png,c.png\n"


def written(tmp_path, text):
    (tmp_path / "test.csv").write_text(text)
    return tmp_path / "test.csv"


def manifest(*images, identity=None):
    return pl.DataFrame(
        {"image": list(images), "identity": [identity] * len(images)}, schema_overrides={"identity": str}
    )


def quarantine(**reasons):
    rows = [{"image": f"test/test/{name}.png", "reason": r, "detail": "as found"} for name, r in reasons.items()]
    return pl.DataFrame(rows, schema={"image": str, "reason": str, "detail": str})


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def parsed(text):
    lines = [line.split(",") for line in text.splitlines()]
    assert lines[0] == ["row_id", "similarity"]
    return [row for row, _ in lines[1:]], np.array([float(value) for _, value in lines[1:]])


def test_a_cosine_becomes_its_place_between_0_and_1():
    cosines = np.array([-1, -0.5, 0, 0.25, 1])
    assert as_similarities(cosines, cosine=True).tolist() == [0, 0.25, 0.5, 0.625, 1]


def test_other_scores_are_scaled_from_their_smallest_to_their_largest():
    assert as_similarities(np.array([-30.0, -10, -20]), cosine=False).tolist() == [0, 1, 0.5]
    assert as_similarities(np.array([4.0, 4.0]), cosine=False).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize("scale", [1.0, 1.0000003, 1e-12, 1e12])
def test_no_two_different_scores_become_equal_as_written(cosine, scale):
    steps = np.random.default_rng(0).integers(-(2**23), 2**23, 3000)
    scores = np.unique(np.concatenate([steps, steps + 1, [-(2**23), 2**23]])) / 2**23 * (1 if cosine else scale)
    scores = np.clip(scores, -1, 1) * (min(scale, 1.0000003) if cosine else 1)
    scores = np.unique(scores)
    shuffled = np.random.default_rng(1).permutation(len(scores))
    _, found = parsed(submission_csv(list(map(str, shuffled)), as_similarities(scores[shuffled], cosine)))
    assert (np.diff(found[np.argsort(shuffled)]) > 0).all()
    assert found.min() >= 0 and found.max() <= 1


def test_scores_of_very_different_sizes_stay_apart():
    for scores in ([-1e30, 0.1, 0.2, 0.3], [0.1, 0.2, 1e30]):
        found = as_similarities(np.array(scores), cosine=False)
        assert (np.diff(found) > 0).all() and found.min() >= 0 and found.max() <= 1


@pytest.mark.parametrize("cosine", [True, False])
def test_a_pair_without_a_score_lies_below_all_others(cosine):
    scores = np.array([0.5, np.nan, -1.0, 1.0])
    found = as_similarities(scores, cosine)
    assert found[1] == 0 and found[2] > 0 and found[2] < found[0] < found[3] <= 1
    assert as_similarities(np.array([np.nan, np.nan]), cosine).tolist() == [0, 0]


def test_every_row_of_the_table_gets_its_line_in_its_order(tmp_path):
    pairs = read_pairs(written(tmp_path, TABLE))
    placed = place_pairs(pairs, manifest("test/test/c.png", "test/test/a.png", "test/test/b.png"), quarantine())
    vectors = unit(np.random.default_rng(0).standard_normal((3, 4)))
    retrieval = Retrieval(vectors[placed.query_rows], vectors[placed.gallery_rows], placed.query_index)
    scores = pair_scores(retrieval, placed.query, placed.gallery)
    c, a, b = vectors.astype(np.float64)
    assert np.allclose(scores, [b @ a, a @ b, b @ c], atol=1e-6)
    rows, values = parsed(submission_csv(pairs.row_ids, as_similarities(scores, cosine=True)))
    assert rows == ["7", "3", "5"] and np.allclose(values, (1 + scores) / 2)


def test_a_query_that_is_in_the_gallery_is_known_there(tmp_path):
    placed = place_pairs(
        read_pairs(written(tmp_path, TABLE)), manifest("test/a.png", "test/b.png", "test/c.png"), quarantine()
    )
    assert placed.query_rows.tolist() == [1, 0] and placed.gallery_rows.tolist() == [0, 1, 2]
    assert placed.query_index.tolist() == [1, 0]
    alone = place_pairs(Pairs(["1"], ["a.png"], ["b.png"]), manifest("test/a.png", "test/b.png"), quarantine())
    assert alone.query_index.tolist() == [-1]


def test_an_image_in_quarantine_is_named_with_what_happens_to_its_pairs(tmp_path):
    pairs = read_pairs(written(tmp_path, TABLE))
    placed = place_pairs(pairs, manifest("test/test/c.png", "test/test/b.png"), quarantine(a="truncated"))
    lines = without_images(pairs, placed)
    assert lines == ["a.png cannot be used (truncated: as found): its 2 pairs get the similarity 0, below all others."]
    retrieval = Retrieval(np.eye(2, dtype=np.float32)[:1], np.eye(2, dtype=np.float32))
    similarities = as_similarities(pair_scores(retrieval, placed.query, placed.gallery), cosine=True)
    assert similarities.tolist()[:2] == [0, 0] and similarities[2] > 0


def test_an_image_that_nobody_knows_is_an_error(tmp_path):
    with pytest.raises(ReidflowError, match=r"'a\.png' is neither"):
        place_pairs(read_pairs(written(tmp_path, TABLE)), manifest("test/c.png", "test/b.png"), quarantine())
    labelled = manifest("test/a.png", "test/b.png", "test/c.png", identity="x")
    with pytest.raises(ReidflowError, match="neither"):
        place_pairs(read_pairs(written(tmp_path, TABLE)), labelled, quarantine())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE + "3,c.png,a.png\n", "row 2 has the row_id '3' too"),
        (TABLE + "9,,a.png\n", "'query_image' is blank"),
        ("row_id,query_image\n1,a.png\n", "there is no column 'gallery_image'"),
    ],
)
def test_a_damaged_table_is_named_by_row(tmp_path, text, message):
    with pytest.raises(ReidflowError, match=message):
        read_pairs(written(tmp_path, text))


def test_a_diverged_run_is_no_submission():
    retrieval = Retrieval(np.full((1, 2), np.nan, np.float32), np.eye(2, dtype=np.float32))
    with pytest.raises(ReidflowError, match="diverged"):
        pair_scores(retrieval, np.array([0]), np.array([1]))


def test_a_pair_of_an_image_with_itself_scores_as_high_as_any():
    vectors = unit(np.random.default_rng(0).standard_normal((3, 4)))
    query, gallery = np.repeat(np.arange(3), 3), np.tile(np.arange(3), 3)
    own = query == gallery
    for itself in (np.nan, -1e3):
        ranked = np.float32([[itself, 2.5, -3], [2.5, itself, -1], [-3, -1, itself]])
        found = pair_scores(Retrieval(vectors, vectors, np.arange(3), matrix=ranked), query, gallery)
        assert found[own].tolist() == [2.5] * 3 and np.array_equal(found[~own], ranked.ravel()[~own])
        assert pair_scores(Retrieval(vectors, vectors, np.arange(3), matrix=ranked), query[:1], gallery[:1]) == [0]
    cosines = pair_scores(Retrieval(vectors, vectors, np.arange(3)), query, gallery)
    np.testing.assert_allclose(cosines[own], 1, atol=1e-6)


@pytest.mark.parametrize("values", [[0.5, np.nan], [0.5, 1.1], [0.5, -0.1], [0.5]])
def test_what_is_no_similarity_or_missing_is_never_written(values):
    with pytest.raises(ReidflowError):
        submission_csv(["1", "2"], np.array(values))


def test_many_blocks_of_queries_give_each_pair_its_own_score():
    vectors = unit(np.random.default_rng(0).standard_normal((600, 5)))
    rng = np.random.default_rng(1)
    query, gallery = rng.integers(0, 600, 2000), rng.integers(0, 600, 2000)
    scores = pair_scores(Retrieval(vectors, vectors, np.arange(600)), query, gallery)
    assert np.allclose(scores, (vectors[query] * vectors[gallery]).sum(axis=1), atol=1e-6)


def test_the_best_come_first_and_of_equal_ones_the_key_decides():
    gallery = unit(np.array([[1, 0], [1, 0.1], [1, 0], [0, 1], [1, 0]], float))
    retrieval = Retrieval(gallery[[0, 3]], gallery, np.array([0, -1]))
    best = best_keys(retrieval, ["z", "y"], ["e", "d", "b", "a", "c"], 3)
    assert best == {"z": ["b", "c", "d"], "y": ["a", "d", "b"]}
    assert list(json.loads(answers_json(best))) == ["y", "z"]


def test_own_groups_and_the_query_itself_are_no_answers():
    vectors = unit(np.array([[1, 0], [1, 0.1], [0, 1]], float))
    retrieval = Retrieval(vectors, vectors, np.arange(3), np.array([0, 0, 1]), np.array([0, 0, 1]))
    best = best_keys(retrieval, ["a", "b", "c"], ["a", "b", "c"], 10)
    assert best == {"a": ["c"], "b": ["c"], "c": ["b", "a"]}
