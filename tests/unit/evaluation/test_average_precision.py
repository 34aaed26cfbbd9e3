import itertools

import numpy as np
import pytest
from slow_metric import candidates, expected_average_precision, over_all_orders, precision_of_order, rounded

from reidflow.evaluation.average_precision import average_precisions, identity_balanced
from reidflow.evaluation.ranking import tie_groups, unit


def from_table(table: np.ndarray):
    """A similarity that looks its values up: vectors are one-column row and column numbers."""
    return lambda queries, gallery: table[queries[:, :1].astype(int), gallery[:, 0].astype(int)]


def one_query(similarities, positive) -> float:
    table = np.array([similarities], dtype=np.float64)
    count = np.arange(len(similarities), dtype=np.float32)[:, None]
    return average_precisions(
        count[:1], count, np.array([1]), np.where(positive, 1, 0), similarity=from_table(table)
    ).item()


def random_case(seed: int):
    """Images with singletons, exact duplicates, coarse integer vectors (many equal cosines) and groups."""
    rng = np.random.Generator(np.random.PCG64(seed))
    count = int(rng.integers(20, 120))
    vectors = rng.integers(-2, 3, (count, int(rng.integers(2, 9)))).astype(np.float32)
    copies = rng.integers(0, count, (2, count // 4))
    vectors[copies[0]] = vectors[copies[1]]
    identity = rng.integers(0, int(rng.integers(2, count)), count)
    return vectors, identity, rng.integers(0, count // 2 + 1, count)


@pytest.mark.parametrize(
    ("similarities", "positive", "value"),
    [
        ([0.9, 0.8, 0.7], [1, 1, 0], 1.0),
        ([0.9, 0.8, 0.7], [0, 1, 1], (1 / 2 + 2 / 3) / 2),
        ([0.5, 0.5], [1, 0], (1 + 1 / 2) / 2),
        ([0.5, 0.5, 0.5], [1, 1, 0], (1 + 5 / 6 + 7 / 12) / 3),
        ([0.9, 0.0, -0.0, -0.5], [0, 1, 0, 0], (1 / 2 + 1 / 3) / 2),
        ([0.3], [1], 1.0),
    ],
)
def test_values_computed_by_hand(similarities, positive, value):
    assert one_query(similarities, positive) == pytest.approx(value, abs=1e-15)


def test_expectation_is_the_mean_over_every_order_of_the_tied():
    rng = np.random.Generator(np.random.PCG64(7))
    for _ in range(25):
        similarities = rng.integers(-1, 2, 7) / 4
        positive = rng.random(7) < 0.5
        positive[rng.integers(7)] = True
        slow = over_all_orders(similarities.tolist(), positive, precision_of_order)
        assert one_query(similarities, positive) == pytest.approx(slow, abs=1e-12)


def test_random_tables_with_ties_equal_the_reference():
    rng = np.random.Generator(np.random.PCG64(3))
    for levels, spread in itertools.product([2, 5, 50, 10**6], [1.0, 1e-4, 1e6]):
        count = 90
        table = (rng.integers(-levels, levels, (count, count)) / levels * spread).astype(np.float32)
        identity = rng.integers(0, 25, count)
        rows = np.arange(count, dtype=np.float32)[:, None]
        fast = average_precisions(
            rows, rows, identity, identity, query_index=np.arange(count), similarity=from_table(table), block=7
        )
        for query in range(count):
            kept = candidates(query, query, count)
            slow = expected_average_precision(
                rounded(table[query, kept].astype(float)), identity[kept] == identity[query]
            )
            assert fast[query] == pytest.approx(slow, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("grouped", [False, True])
def test_cosine_rankings_equal_the_reference(seed, grouped):
    vectors, identity, group = random_case(seed)
    groups = (group, group) if grouped else (None, None)
    fast = average_precisions(
        vectors,
        vectors,
        identity,
        identity,
        query_index=np.arange(len(vectors)),
        query_group=groups[0],
        gallery_group=groups[1],
    )
    wide = vectors.astype(np.float64)
    lengths = np.sqrt(np.maximum((wide**2).sum(1), 1e-300))
    cosines = rounded((wide @ wide.T) / lengths[:, None] / lengths)
    for query in range(len(vectors)):
        kept = candidates(query, query, len(vectors), *groups)
        slow = expected_average_precision(cosines[query, kept], identity[kept] == identity[query])
        assert fast[query] == pytest.approx(slow, abs=1e-9, nan_ok=True)


def test_continuous_vectors_with_duplicates_equal_the_reference():
    rng = np.random.Generator(np.random.PCG64(11))
    vectors = rng.standard_normal((300, 64)).astype(np.float32)
    original = np.arange(300)
    original[200:] = rng.integers(0, 200, 100)
    vectors = vectors[original]
    identity = rng.integers(0, 40, 300)
    fast = average_precisions(vectors, vectors, identity, identity, query_index=np.arange(300))
    exact = unit(vectors)
    for query in range(0, 300, 7):
        kept = candidates(query, query, 300)
        dots = np.array([np.dot(exact[query], exact[original[place]]) for place in range(300)])
        slow = expected_average_precision(rounded(dots[kept]), identity[kept] == identity[query])
        assert fast[query] == pytest.approx(slow, abs=1e-9, nan_ok=True)


def test_order_of_the_gallery_cannot_matter():
    rng = np.random.Generator(np.random.PCG64(5))
    vectors = rng.standard_normal((500, 96)).astype(np.float32)
    vectors[250:] = vectors[rng.integers(0, 250, 250)]
    identity = rng.integers(0, 60, 500)
    index = np.arange(500)
    first = average_precisions(vectors, vectors, identity, identity, query_index=index)
    for block in (1, 3, 64, None):
        order = rng.permutation(500)
        place = np.argsort(order)
        again = average_precisions(vectors, vectors[order], identity, identity[order], query_index=place, block=block)
        np.testing.assert_array_equal(again, first)


def test_a_query_is_no_candidate_and_its_group_neither():
    vectors = np.array([[1, 0], [1, 0.1], [1, 0.5], [0.2, 1]], dtype=np.float32)
    identity = np.array([0, 0, 1, 0])
    group = np.array([5, 5, 6, 7])
    alone = average_precisions(vectors, vectors, identity, identity, query_index=np.arange(4))
    np.testing.assert_allclose(alone[0], (1 + 2 / 3) / 2)
    filtered = average_precisions(
        vectors, vectors, identity, identity, query_index=np.arange(4), query_group=group, gallery_group=group
    )
    np.testing.assert_allclose(filtered[0], 1 / 2)
    assert np.isnan(filtered[2])
    counted = average_precisions(vectors, vectors, identity, identity, query_index=np.full(4, -1))
    np.testing.assert_allclose(counted[0], (1 + 1 + 3 / 4) / 3)


def test_vectors_that_are_not_finite_score_like_a_random_order():
    identity = np.array([0, 0, 1, 1, 1])
    lost = np.full((5, 3), np.nan, dtype=np.float32)
    found = average_precisions(lost, lost, identity, identity, query_index=np.arange(5))
    flat = np.ones((5, 3), dtype=np.float32)
    np.testing.assert_array_equal(found, average_precisions(flat, flat, identity, identity, query_index=np.arange(5)))
    one_lost = np.array([[1, 0], [1, 0.1], [1, 0.2], [np.inf, 0]], dtype=np.float32)
    values = average_precisions(
        one_lost, one_lost, np.array([0, 0, 1, 0]), np.array([0, 0, 1, 0]), query_index=np.arange(4)
    )
    np.testing.assert_allclose(values[0], (1 + 2 / 3) / 2)


def test_another_geometry_ranks_by_its_own_similarity():
    points = np.array([[0.0], [3.0], [1.0], [2.0]], dtype=np.float32)
    identity = np.array([0, 1, 1, 0])

    def nearness(queries, gallery):
        return -np.abs(queries[:, None, 0].astype(float) - gallery[None, :, 0])

    values = average_precisions(points, points, identity, identity, query_index=np.arange(4), similarity=nearness)
    np.testing.assert_allclose(values, [1 / 2, 1 / 2, 1 / 3, 1 / 3], atol=1e-12)


def test_identities_count_alike_however_many_queries_they_have():
    values = np.array([1.0, 1.0, 1.0, 0.0, np.nan, np.nan])
    assert identity_balanced(values, np.array([7, 7, 7, 3, 3, 1])) == 0.5
    assert np.isnan(identity_balanced(np.array([np.nan]), np.array([1])))


def test_an_excluded_image_is_neither_positive_nor_counted():
    similarities = np.array([[0.9, 0.8, 0.8, 0.1]], dtype=np.float32)
    groups = tie_groups(similarities, np.array([[True, True, False, True]]), np.array([[True, False, False, False]]))
    assert groups.positives.tolist() == [2]
    assert groups.above.tolist() == [0, 2]
    assert groups.tied.tolist() == [2, 1]
    assert groups.hits_above.tolist() == [0, 1]


def test_groups_are_given_for_both_sides_or_neither():
    with pytest.raises(ValueError, match="together"):
        average_precisions(np.eye(2), np.eye(2), np.zeros(2), np.zeros(2), query_group=np.zeros(2))
