import faiss
import numpy as np
import pytest

from reidflow.dedup.neighbours import STEP, near_pairs, nearest, unit
from reidflow.spec.errors import ReidflowError


@pytest.fixture(scope="module")
def vectors():
    random = np.random.default_rng(3)
    points = random.standard_normal((400, 24)).astype(np.float32)
    points[100:160] = points[0]
    points[200:220] = points[1] * 3
    points[300] = 0
    return unit(points)


@pytest.fixture(scope="module")
def cosines(vectors):
    """Cosines in float64, rounded, each from its own sum."""
    exact = np.array([[float(np.dot(a, b)) for b in vectors.astype(np.float64)] for a in vectors.astype(np.float64)])
    return np.rint(exact / STEP) * STEP


@pytest.mark.parametrize("count", [1, 10, 398, 5000])
def test_neighbours_are_the_nearest_and_ties_rank_by_row(vectors, cosines, count):
    cosines = cosines.copy()
    np.fill_diagonal(cosines, -np.inf)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, : min(count, 399)]
    rows, values = nearest(vectors, count)
    assert np.array_equal(rows, order)
    assert np.array_equal(values, np.take_along_axis(cosines, order, 1))


def test_neighbours_depend_neither_on_block_nor_threads(vectors):
    before = faiss.omp_get_max_threads()
    results = []
    for threads, block in ((1, 4096), (2, 13)):
        faiss.omp_set_num_threads(threads)
        results.append(nearest(vectors, 5, block))
    faiss.omp_set_num_threads(before)
    assert all(np.array_equal(one, two) for one, two in zip(*results, strict=True))


@pytest.mark.parametrize("loosest", [0.0, 0.6, 2.0])
def test_near_pairs_are_all_in_range_and_copies_are_0_apart(vectors, cosines, loosest, monkeypatch):
    monkeypatch.setattr("reidflow.dedup.neighbours.TILE", 64)
    apart = np.maximum(0, 1 - cosines)
    expected = np.argwhere(np.triu(apart <= loosest, 1))
    pairs, distances = near_pairs(vectors, loosest)
    assert np.array_equal(pairs, expected)
    assert np.array_equal(distances, apart[tuple(pairs.T)])
    monkeypatch.setattr("reidflow.dedup.neighbours.MOST", len(pairs) - 1)
    with pytest.raises(ReidflowError, match="Lower the largest threshold"):
        near_pairs(vectors, loosest)
    copies = set(map(tuple, pairs[distances == 0].tolist()))
    assert {(0, 100), (1, 200), (158, 159)} <= copies and (0, 1) not in copies
