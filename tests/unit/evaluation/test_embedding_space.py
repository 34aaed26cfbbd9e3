import numpy as np
import pytest
from scipy.stats import spearmanr

from reidflow.evaluation.embedding_space import (
    distances,
    neighbour_map,
    picture,
    radii,
    rank_correlation,
    relative_delta,
    spaced,
)


@pytest.fixture
def random():
    return np.random.default_rng(0)


def tree_distances(random, count=30):
    """Path lengths between the nodes of a random tree with random edges."""
    parent = [0, *(int(random.integers(0, i)) for i in range(1, count))]
    length = random.uniform(0.5, 2, count)
    found = np.zeros((count, count))
    for i in range(1, count):
        found[i, :i] = found[parent[i], :i] + length[i]
        found[:i, i] = found[i, :i]
    return found


def ball_points(random, count=40, reach=2.0, dim=2):
    directions = random.normal(size=(count, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.tanh(random.uniform(0, reach, (count, 1)) / 2) * directions


def test_a_tree_has_a_delta_of_zero_and_a_circle_has_not(random):
    assert relative_delta(tree_distances(random)) == pytest.approx(0, abs=1e-12)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    apart = np.abs(angles[:, None] - angles)
    circle = np.minimum(apart, 2 * np.pi - apart)
    # On a circle the four-point condition fails by half the radius times pi: two pairs of opposite points.
    assert relative_delta(circle) == pytest.approx(1.0, rel=0.02)


def test_delta_is_the_largest_violation_of_the_four_point_condition(random):
    points = random.normal(size=(9, 3))
    found = np.linalg.norm(points[:, None] - points, axis=2)
    product = (found[:, :1] + found[:1] - found) / 2
    worst = max(min(product[i, k], product[k, j]) - product[i, j] for i in range(9) for j in range(9) for k in range(9))
    assert relative_delta(found) == pytest.approx(2 * worst / found.max())


def test_spaced_rows_are_all_rows_or_as_many_as_fit():
    assert spaced(7, 9).tolist() == list(range(7)) and spaced(0).tolist() == []
    rows = spaced(100_000, 500)
    assert len(rows) == 500 and (rows[0], rows[-1]) == (0, 99_999) and set(np.diff(rows)) <= {200, 201}


def test_what_has_no_distances_has_no_delta():
    assert np.isnan(relative_delta(np.zeros((3, 3))))
    assert np.isnan(relative_delta(np.array([[0, np.nan], [np.nan, 0]])))


def test_distances_on_the_hypersphere_are_angles_and_lengths_do_not_count():
    vectors = np.array([[2.0, 0], [0, 3], [-1, 0], [5, 0], [5, 1e-9]])
    found = distances("hypersphere", vectors)
    np.testing.assert_allclose(found[0], [0, np.pi / 2, np.pi, 0, 2e-10], atol=1e-7)
    np.testing.assert_allclose(radii("hypersphere", vectors)[:4], [2, 3, 1, 5])


@pytest.mark.parametrize(("name", "coordinate"), [("poincare", np.tanh(0.7 / 2)), ("lorentz", np.sinh(0.7))])
def test_radii_are_distances_from_the_origin(name, coordinate):
    assert radii(name, np.array([[0, coordinate], [0, 0]])) == pytest.approx([0.7, 0], abs=1e-9)


def test_a_rank_correlation_is_spearmans(random):
    one = random.normal(size=60)
    other = np.round(one + random.normal(size=60))
    found, low, high = rank_correlation(one, other, np.arange(60), seed=1)
    assert found == pytest.approx(spearmanr(one, other).statistic)
    assert low < found < high
    assert (low, high) == rank_correlation(one, other, np.arange(60), seed=1)[1:]


def test_its_interval_is_that_of_resampled_identities(random):
    one, other = random.normal(size=(2, 40))
    clusters = np.repeat(np.arange(10), 4)
    _, low, high = rank_correlation(one, other, clusters, seed=0)
    again = []
    for draw in random.integers(0, 10, (2000, 10)):
        rows = np.concatenate([np.flatnonzero(clusters == c) for c in draw])
        again.append(spearmanr(one[rows], other[rows]).statistic)
    assert [low, high] == pytest.approx(np.quantile(again, [0.025, 0.975]), abs=0.04)


def test_images_of_few_identities_make_the_interval_wide(random):
    effect = np.repeat(random.normal(size=8), 20)
    one, other = effect + 0.1 * random.normal(size=(2, 160))
    clusters = np.repeat(np.arange(8), 20)
    ends = [rank_correlation(one, other, codes, seed=0)[1:] for codes in (clusters, np.arange(160))]
    widths = [high - low for low, high in ends]
    assert widths[0] > 2 * widths[1]


def test_a_constant_or_two_identities_have_no_correlation(random):
    values = random.normal(size=12)
    assert np.isnan(rank_correlation(np.ones(12), values, np.arange(12), 0)).all()
    assert np.isnan(rank_correlation(values, values, np.arange(12) % 2, 0)).all()


def test_a_plane_of_each_space_is_drawn_without_loss(random):
    flat = random.normal(size=(30, 2))
    apart = np.linalg.norm(flat[:, None] - flat, axis=2)
    points, near = picture("euclidean", apart)
    np.testing.assert_allclose(np.linalg.norm(points[:, None] - points, axis=2), apart, atol=1e-9)
    assert near == pytest.approx(1)
    sphere = random.normal(size=(30, 3)) + np.array([2, 0, 0])
    assert picture("hypersphere", distances("hypersphere", sphere))[1] == pytest.approx(1)
    curved = distances("poincare", ball_points(random))
    points, near = picture("poincare", curved)
    np.testing.assert_allclose(distances("poincare", points), curved, atol=1e-6)
    assert near == pytest.approx(1)


def test_the_disk_keeps_hyperbolic_distances_that_flat_pictures_cannot(random):
    tree = tree_distances(random, 40)
    assert picture("poincare", tree)[1] > picture("euclidean", tree)[1]


def test_a_picture_does_not_depend_on_the_order_of_the_images(random):
    for name in ("euclidean", "hypersphere", "lorentz"):
        vectors = random.normal(size=(20, 4)) + 0.5
        order = random.permutation(20)
        one, other = (picture(name, distances(name, rows))[0] for rows in (vectors, vectors[order]))
        np.testing.assert_allclose(one[order], other, atol=1e-6)


def test_few_points_are_mapped_by_their_principal_components(random):
    from sklearn.decomposition import PCA

    points = random.normal(size=(8, 4)) * [3, 2, 1, 0.5]
    found, wanted = neighbour_map(distances("euclidean", points)), PCA(2).fit_transform(points)
    wanted -= (wanted.max(axis=0) + wanted.min(axis=0)) / 2
    np.testing.assert_allclose(np.abs(found), np.abs(wanted) / np.abs(wanted).max(), atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 2, 12])
def test_points_in_one_place_are_mapped_to_one_place(count):
    assert (neighbour_map(np.zeros((count, count))) == np.zeros((count, 2))).all()


def test_the_same_distances_give_the_same_map(random):
    apart = distances("hypersphere", random.normal(size=(60, 5)))
    given = apart.copy()
    assert neighbour_map(apart).tobytes() == neighbour_map(given).tobytes() and (apart == given).all()
