"""Wrong first candidates and what they share with their queries, against planted looks and a plain count."""

import numpy as np
import pytest

from reidflow.evaluation.error_patterns import CUES, distances, error_patterns, looks, shares
from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.ingest.framing import GREY


def flat(*colours: tuple[int, int, int], side: int = 8) -> np.ndarray:
    return np.stack([np.full((side, side, 3), colour, np.uint8) for colour in colours])


def test_looks_are_those_of_the_animal_alone():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    images[:, :, :4] = (255, 255, 255)
    images[:, :, 4:] = (200, 10, 10)
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[:, :4, :4] = 255
    found = looks(images, masks, np.array([1, 0]), np.array([True, False]))
    assert found[0] == pytest.approx([100, 0, 0, 0.25], abs=0.02)
    assert found[1, 0] < 80 and found[1, 1] > 20 and np.isnan(found[1, 3])


def test_padding_does_not_count():
    images = flat((255, 255, 255))
    images[0, :, :3] = GREY
    masks = np.full((1, 8, 8), 255, np.uint8)
    assert looks(images, masks, np.array([0]), np.array([True]))[0] == pytest.approx([100, 0, 0, 1.0], abs=0.02)


def test_a_large_picture_has_the_colour_of_a_small_one():
    small = np.random.default_rng(0).integers(0, 255, (1, 50, 50, 3)).astype(np.uint8)
    large = small.repeat(4, axis=1).repeat(4, axis=2)
    masks = [np.full(images.shape[:3], 255, np.uint8) for images in (small, large)]
    found = [looks(i, m, np.array([0]), np.array([True])) for i, m in zip((small, large), masks, strict=True)]
    assert np.allclose(*found)


def test_cues_are_told_apart():
    """White against black is brightness alone; red against a green as light is colour alone."""
    seen = np.array([[0, 0, 0, 0.5], [100, 0, 0, 0.5], [50, 60, 0, 0.9], [50, -60, 0, 0.5]], float)
    found = distances(seen, seen)
    assert list(found) == list(CUES)
    assert (found["colour"][0, 1], found["brightness"][0, 1], found["colour with brightness"][0, 1]) == (0, 100, 100)
    assert (found["colour"][2, 3], found["brightness"][2, 3], found["colour with brightness"][2, 3]) == (120, 0, 120)
    assert found["framing"][2, 3] == pytest.approx(0.4)


def planted(cue: int) -> tuple[Retrieval, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sixty queries of twenty identities whose similarity is nearness in one look (0: lightness, 3: framing)."""
    generator = np.random.default_rng(4)
    query_identity, gallery_identity = (np.repeat(np.arange(20), count) for count in (3, 5))
    query, gallery = (generator.normal(0, 10, (len(i), 4)) for i in (query_identity, gallery_identity))
    matrix = -np.abs(query[:, None, cue] - gallery[None, :, cue]).astype(np.float32)
    retrieval = Retrieval(np.zeros((60, 1), np.float32), np.zeros((100, 1), np.float32), matrix=matrix)
    return retrieval, query_identity, gallery_identity, query, gallery


@pytest.mark.parametrize(("look", "cue"), [(0, "brightness"), (3, "framing")])
def test_a_planted_confusion_is_found_and_no_other_cue_is_blamed(look, cue):
    found = error_patterns(*planted(look), block=7)
    assert 40 < len(found) <= 60
    assert found[cue].mean() == 1.0
    assert found[f"{cue} by chance"].mean() < 0.3
    other = "framing" if cue == "brightness" else "brightness"
    assert abs((found[other] - found[f"{other} by chance"]).mean()) < 0.12


def test_the_counts_are_those_of_a_plain_loop():
    retrieval, mine, theirs, query, gallery = planted(1)
    groups = np.arange(60) % 7, np.arange(100) % 11
    index = np.where(np.arange(60) < 30, np.arange(60), -1)
    retrieval = Retrieval(retrieval.queries, retrieval.gallery, index, *groups, matrix=retrieval.matrix)
    found = {row["query"]: row for row in error_patterns(retrieval, mine, theirs, query, gallery, block=7).to_dicts()}
    for q in range(60):
        candidates = [g for g in range(100) if g != index[q] and groups[0][q] != groups[1][g]]
        true = [g for g in candidates if mine[q] == theirs[g]]
        wrong = [g for g in candidates if mine[q] != theirs[g]]
        if not true:
            assert q not in found
            continue
        best, first = (max(part, key=lambda g: retrieval.matrix[q, g]) for part in (true, wrong))
        assert (q in found) == (retrieval.matrix[q, first] > retrieval.matrix[q, best])
        if q not in found:
            continue

        def apart(g: int, q: int = q) -> float:
            return float(np.hypot(*(query[q] - gallery[g])[1:3]))

        assert found[q]["colour"] == float(apart(first) < apart(best))
        assert found[q]["colour by chance"] == pytest.approx(np.mean([apart(g) < apart(best) for g in wrong]))


def test_ties_count_with_their_mean_and_a_tied_true_match_is_no_error():
    matrix = np.array([[0.9, 0.9, 0.5, 0.1], [0.9, 0.2, 0.9, 0.1], [0.1, 0.2, 0.3, 0.9]], np.float32)
    seen = np.array([[10, 0, 0, np.nan], [30, 0, 0, np.nan], [20, 0, 0, np.nan], [20, 0, 0, np.nan]])
    retrieval = Retrieval(np.zeros((3, 1), np.float32), np.zeros((4, 1), np.float32), matrix=matrix)
    # Of the first query the first two are wrong and tied, one closer than the true match and one not.
    found = error_patterns(retrieval, np.array([1, 1, 1]), np.array([0, 0, 1, 1]), np.zeros((3, 4)), seen)
    assert found["query"].to_list() == [0]
    assert found["brightness"].to_list() == [0.5]
    assert found["colour"].to_list() == [0.5]
    assert found["framing"].is_nan().all()


def test_no_errors_are_an_empty_table():
    matrix = np.array([[1.0, 0.0]], np.float32)
    retrieval = Retrieval(np.zeros((1, 1), np.float32), np.zeros((2, 1), np.float32), matrix=matrix)
    found = error_patterns(retrieval, np.array([0]), np.array([0, 1]), np.zeros((1, 4)), np.zeros((2, 4)))
    assert found.is_empty() and f"{next(iter(CUES))} by chance" in found.columns


def test_a_share_is_of_queries_and_its_influences_sum_to_nothing():
    values, counts = np.array([[1.0, 0], [3, 2]]), np.array([[2.0, 0], [4, 2]])
    share, influence = shares(values, counts)
    assert share == 6 / 8
    assert influence == pytest.approx(np.array([[1 - 1.5, 0], [0, 0.5]]) / 2)
    assert influence.sum() == pytest.approx(0)
