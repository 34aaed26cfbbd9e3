from pathlib import Path

import faiss
import numpy as np
import pytest

from reidflow.retrieval import index as indexes
from reidflow.retrieval.index import build_index, measured_recall, read_index, search, write_index
from reidflow.spec.components import names, resolve
from reidflow.spec.errors import ReidflowError

SMALL = {"flat": {}, "hnsw": {"m": 8, "ef_construction": 40}, "ivf_pq": {"lists": 8, "probes": 4, "m": 4, "bits": 4}}


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def vectors(count=800, dim=16, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((20, dim))
    return unit(centres[np.arange(count) % 20] + 0.6 * rng.standard_normal((count, dim)))


def made(name, rows, **changes):
    return build_index(rows, resolve("index", {"name": name, **SMALL[name], **changes}))


def directly(rows, queries, k):
    """Return the k best rows by a plain loop: cosines in float64 to seven digits, ties by row."""
    found = []
    for query in queries.astype(np.float64):
        cosines = (rows.astype(np.float64) * query).sum(axis=1).round(6).tolist()
        found.append(sorted(range(len(rows)), key=lambda i: (-cosines[i], i))[:k])
    return np.array(found)


@pytest.fixture(autouse=True)
def _threads():
    before = faiss.omp_get_max_threads()
    yield
    faiss.omp_set_num_threads(before)


def test_every_index_is_tried_here():
    assert names("index") == sorted(SMALL)


def test_the_exact_index_answers_as_a_plain_loop_does():
    rows, queries = vectors(300), vectors(12, seed=1)
    found, cosines = search(made("flat", rows), rows, queries, 7)
    assert np.array_equal(found, directly(rows, queries, 7))
    assert np.allclose(cosines, np.take_along_axis(queries @ rows.T, found, 1), atol=1e-6)


def test_of_equal_vectors_the_first_rows_are_first_however_many_there_are():
    rows = vectors(300)
    rows[20:200:3] = rows[7]
    found, _ = search(made("flat", rows), rows, rows[[7]], 10)
    assert found[0].tolist() == [7, *range(20, 47, 3)]


def test_copies_that_differ_in_their_last_bits_stand_in_the_order_of_their_rows():
    rows = vectors(300)
    rows[20:220] = rows[7] * (1 + np.random.default_rng(2).uniform(-1.2e-7, 1.2e-7, (200, 16))).astype(np.float32)
    found, cosines = search(made("flat", rows), rows, rows[[7]], 10)
    assert found[0].tolist() == [7, *range(20, 29)] and (cosines == cosines[0, 0]).all()


def test_one_thread_makes_an_index(monkeypatch):
    faiss.omp_set_num_threads(4)
    monkeypatch.setattr(indexes, "call", lambda *_: faiss.omp_get_max_threads())
    assert build_index(vectors(5), {"name": "flat"}) == 1 and faiss.omp_get_max_threads() == 4


def test_how_many_ask_does_not_decide_how_an_approximate_index_compares():
    class Spy:
        def search(self, queries, k):
            seen.append(faiss.cvar.distance_compute_blas_threshold)
            return np.ones((len(queries), k), np.float32), np.zeros((len(queries), k), np.int64)

    seen, before = [], faiss.cvar.distance_compute_blas_threshold
    search(Spy(), vectors(50), vectors(2), 3)
    assert seen[0] > 10**6 and faiss.cvar.distance_compute_blas_threshold == before


@pytest.mark.parametrize("name", SMALL)
def test_bytes_and_answers_do_not_depend_on_the_threads(tmp_path, name):
    rows, queries, seen = vectors(), vectors(40, seed=1), set()
    for threads in (1, 2, 5):
        faiss.omp_set_num_threads(threads)
        write_index(made(name, rows), tmp_path / "index")
        assert faiss.omp_get_max_threads() == threads
        found, cosines = search(read_index(tmp_path / "index"), rows, queries, 10)
        seen.add(((tmp_path / "index").read_bytes(), found.tobytes(), cosines.tobytes()))
    assert len(seen) == 1


@pytest.mark.parametrize("name", SMALL)
def test_a_query_alone_gets_the_answers_that_it_gets_among_others(name):
    rows, queries = vectors(), vectors(40, seed=1)
    index = made(name, rows)
    together = search(index, rows, queries, 5)
    alone = [search(index, rows, queries[[i]], 5) for i in range(len(queries))]
    for part in (0, 1):
        assert np.array_equal(np.concatenate([one[part] for one in alone]), together[part])


def test_the_measured_recall_is_the_share_of_the_nearest_others_that_is_found():
    rows = vectors()
    poor = made("hnsw", rows, m=2, ef_construction=2, ef_search=1)
    exact, (found, _) = directly(rows, rows, 11), search(poor, rows, rows, 11)
    shares = [len((set(e) - {i}) & set(f)) / 10 for i, (e, f) in enumerate(zip(exact, found, strict=True))]
    assert 0.1 < np.mean(shares) < 0.95
    assert measured_recall(poor, rows, 10, sample=10**6) == pytest.approx(np.mean(shares), abs=1e-3)
    assert measured_recall(made("flat", rows), rows, 10) == 1.0


def test_an_index_of_few_vectors_gives_all_of_them():
    rows = vectors(3)
    found, _ = search(made("flat", rows), rows, rows, 10)
    assert found.shape == (3, 3) and found[:, 0].tolist() == [0, 1, 2]


def test_what_cannot_be_trained_or_read_says_so(tmp_path):
    with pytest.raises(ReidflowError, match="too few"):
        made("ivf_pq", vectors(100))
    with pytest.raises(ReidflowError, match="divisor"):
        made("ivf_pq", vectors(), m=5)
    (tmp_path / "index").write_bytes(b"no index")
    with pytest.raises(ReidflowError, match="--rebuild"):
        read_index(Path(tmp_path / "index"))


def test_a_search_looks_at_as_many_rows_of_codes_as_it_says(monkeypatch):
    rows, queries = vectors(), vectors(40, seed=1)
    index, exact = made("ivf_pq", rows, probes=8), directly(rows, queries, 5)
    share = []
    for more in (1, 10):
        monkeypatch.setattr(indexes, "PER_CODED", more)
        found, _ = search(index, rows, queries, 5)
        share.append(np.mean([len(set(e) & set(f)) / 5 for e, f in zip(exact, found, strict=True)]))
    assert share[1] > share[0] + 0.2
