import itertools

import numpy as np
import pytest

from reidflow.curation import facility
from reidflow.curation.facility import Cap, dense_greedy, objective, sparse_greedy


def vectors(count, dimension=8, seed=0):
    random = np.random.default_rng(seed)
    centres = random.standard_normal((5, dimension))
    return (centres[np.arange(count) % 5] + 0.7 * random.standard_normal((count, dimension))).astype(np.float32)


def similarities(features):
    unit = features.astype(np.float64) / np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    return np.maximum(unit @ unit.T, 0)


def plain_greedy(similar, count):
    chosen, covered = [], np.zeros(len(similar))
    for _ in range(count):
        gains = np.maximum(similar - covered, 0).sum(axis=1)
        gains[chosen] = -1
        chosen.append(int(np.argmax(gains.round(5))))
        covered = np.maximum(covered, similar[chosen[-1]])
    return chosen


@pytest.mark.parametrize("greedy", [dense_greedy, sparse_greedy])
def test_greedy_chooses_as_a_greedy_that_computes_every_gain_anew(greedy):
    features = vectors(60)
    neighbours = {"neighbours": 59} if greedy is sparse_greedy else {}
    assert greedy(features, 20, **neighbours).tolist() == plain_greedy(similarities(features), 20)


def test_objective_is_the_mean_similarity_to_the_nearest_chosen_image():
    features = np.array([[1, 0], [0.6, 0.8], [0, 1], [-1, 0]], np.float32)
    assert objective(features, np.array([0])) == pytest.approx((1 + 0.6 + 0 + 0) / 4, abs=1e-6)
    assert objective(features, np.array([0, 2])) == pytest.approx((1 + 0.8 + 1 + 0) / 4, abs=1e-6)
    assert objective(features, np.array([], np.int64)) == 0


def test_greedy_reaches_the_share_of_the_best_set_that_theory_promises():
    for seed in range(8):
        features = vectors(9, 3, seed)
        similar = similarities(features)
        best = max(similar[list(rows)].max(axis=0).mean() for rows in itertools.combinations(range(9), 3))
        reached = objective(features, dense_greedy(features, 3))
        assert best * (1 - 1 / np.e) <= reached <= best + 1e-6


def test_a_graph_of_neighbours_reaches_nearly_the_objective_of_all_similarities():
    random = np.random.default_rng(0)
    centres = random.standard_normal((40, 48))
    features = centres[random.integers(0, 40, 1000)] + random.standard_normal((1000, 48))
    for count, least in ((20, 0.997), (200, 0.9995)):
        exact = objective(features, dense_greedy(features, count))
        assert objective(features, sparse_greedy(features, count)) > least * exact
        assert objective(features, np.arange(count)) < 0.99 * exact


def test_the_first_choice_of_two_clusters_is_the_centre_of_the_larger_and_the_second_of_the_other():
    angles = np.deg2rad([0, 5, 10, 15, 20, 180, 185, 190])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert dense_greedy(features, 2).tolist() == [2, 6]


@pytest.mark.parametrize("greedy", [dense_greedy, sparse_greedy])
def test_of_equal_images_the_first_is_chosen_and_its_copies_come_last(greedy):
    features = vectors(40)
    features[[7, 30]] = features[3]
    order = greedy(features, 40).tolist()
    assert sorted(order) == list(range(40))
    assert order.index(3) < 38 and order[-2:] == [7, 30]


@pytest.mark.parametrize("greedy", [dense_greedy, sparse_greedy])
def test_no_identity_exceeds_its_cap_and_the_uncapped_choice_would(greedy):
    features, identity = vectors(60), np.where(np.arange(60) % 5 == 0, 0, 1 + np.arange(60) % 3)
    counts = np.bincount(identity[greedy(features, 20, Cap(identity, 5))], minlength=4)
    assert counts.tolist() == [5, 5, 5, 5]
    assert len(greedy(features, 30, Cap(identity, 5))) == 20
    assert np.bincount(identity[greedy(features, 20)]).max() > 5


def test_large_sets_take_the_graph(monkeypatch):
    features = vectors(80)
    monkeypatch.setattr(facility, "DENSE", 10)
    assert facility.greedy(features, 9).tolist() == sparse_greedy(features, 9).tolist()


def test_the_choice_depends_neither_on_the_block_size_nor_on_the_scale_of_the_features(monkeypatch):
    features = vectors(90)
    expected = [greedy(features, 40).tolist() for greedy in (dense_greedy, sparse_greedy)]
    monkeypatch.setattr("reidflow.curation.similarity.BLOCK_ELEMENTS", 7)
    assert [greedy(4 * features, 40).tolist() for greedy in (dense_greedy, sparse_greedy)] == expected
