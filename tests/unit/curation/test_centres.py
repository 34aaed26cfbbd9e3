import numpy as np

from reidflow.curation.centres import farthest_first


def plain(features, count):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similar = unit @ unit.T
    chosen = [int(np.argmax(similar.mean(axis=1)))]
    while len(chosen) < count:
        nearest = similar[:, chosen].max(axis=1).round(6)
        nearest[chosen] = np.inf
        chosen.append(int(np.argmin(nearest)))
    return chosen


def test_order_is_that_of_a_loop_that_computes_every_distance():
    for seed, count in ((0, 600), (1, 40)):
        features = np.random.default_rng(seed).standard_normal((count, 16))
        assert farthest_first(features, count).tolist() == plain(features, count)


def test_first_the_most_central_then_the_farthest():
    angles = np.deg2rad([0, 10, 20, 90, 200])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert farthest_first(features, 4).tolist() == [2, 4, 3, 0]


def test_copies_come_last_in_their_order():
    features = np.random.default_rng(0).standard_normal((30, 8))
    features[[20, 5]] = features[11]
    order = farthest_first(features, 99).tolist()
    assert sorted(order) == list(range(30))
    assert order.index(5) < 28 and order[-2:] == [11, 20]
