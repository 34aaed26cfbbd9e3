import itertools

import numpy as np
import pytest

from reidflow.curation import greedy
from reidflow.curation.greedy import Cap, dense_greedy, k_center, objective, sparse_greedy


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


@pytest.mark.parametrize("choose", [dense_greedy, sparse_greedy])
def test_greedy_chooses_as_a_greedy_that_recomputes_every_gain(choose):
    features = vectors(60)
    neighbours = {"neighbours": 59} if choose is sparse_greedy else {}
    assert choose(features, 20, **neighbours).tolist() == plain_greedy(similarities(features), 20)


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


@pytest.mark.parametrize("choose", [dense_greedy, sparse_greedy])
def test_of_equal_images_the_first_is_chosen_and_its_copies_come_last(choose):
    features = vectors(40)
    features[[7, 30]] = features[3]
    order = choose(features, 40).tolist()
    assert sorted(order) == list(range(40))
    assert order.index(3) < 38 and order[-2:] == [7, 30]


@pytest.mark.parametrize("choose", [dense_greedy, sparse_greedy])
def test_no_identity_exceeds_its_cap_and_the_uncapped_choice_would(choose):
    features, identity = vectors(60), np.where(np.arange(60) % 5 == 0, 0, 1 + np.arange(60) % 3)
    counts = np.bincount(identity[choose(features, 20, Cap(identity, 5))], minlength=4)
    assert counts.tolist() == [5, 5, 5, 5]
    assert len(choose(features, 30, Cap(identity, 5))) == 20
    assert np.bincount(identity[choose(features, 20)]).max() > 5


def test_large_sets_take_the_graph(monkeypatch):
    features = vectors(80)
    monkeypatch.setattr(greedy, "DENSE", 10)
    assert greedy.facility_location(features, 9).tolist() == sparse_greedy(features, 9).tolist()


def test_the_choice_depends_neither_on_the_block_size_nor_on_the_scale_of_the_features(monkeypatch):
    features = vectors(90)
    expected = [choose(features, 40).tolist() for choose in (dense_greedy, sparse_greedy)]
    monkeypatch.setattr("reidflow.curation.greedy.BLOCK_ELEMENTS", 7)
    assert [choose(4 * features, 40).tolist() for choose in (dense_greedy, sparse_greedy)] == expected


def plain_k_center(features, count):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similar = unit @ unit.T
    chosen = [int(np.argmax(similar.mean(axis=1)))]
    while len(chosen) < count:
        nearest = similar[:, chosen].max(axis=1).round(6)
        nearest[chosen] = np.inf
        chosen.append(int(np.argmin(nearest)))
    return chosen


def test_k_center_is_a_loop_that_computes_every_distance():
    for seed, count in ((0, 600), (1, 40)):
        features = np.random.default_rng(seed).standard_normal((count, 16))
        assert k_center(features, count).tolist() == plain_k_center(features, count)


def test_k_center_starts_with_the_most_central_and_adds_the_farthest():
    angles = np.deg2rad([0, 10, 20, 90, 200])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert k_center(features, 4).tolist() == [2, 4, 3, 0]


def test_k_center_leaves_copies_to_the_end_in_their_order():
    features = np.random.default_rng(0).standard_normal((30, 8))
    features[[20, 5]] = features[11]
    order = k_center(features, 99).tolist()
    assert sorted(order) == list(range(30))
    assert order.index(5) < 28 and order[-2:] == [11, 20]
