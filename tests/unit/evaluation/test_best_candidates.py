"""The best candidates of queries, against plain loops and cases worked by hand."""

import numpy as np
import polars as pl

from reidflow.evaluation.metrics import evaluate
from reidflow.evaluation.retrieval_queries import RANKED, Retrieval, best_candidates, ranked_table


def slow_best(retrieval: Retrieval, k: int) -> list[list[int]]:
    """Return the places of the k best of each query, by a plain sort of (similarity, place)."""
    found = []
    for query, vector in enumerate(retrieval.queries.astype(float)):
        values = []
        for place, other in enumerate(retrieval.gallery.astype(float)):
            own = retrieval.query_index is not None and retrieval.query_index[query] == place
            if own or (
                retrieval.query_group is not None and retrieval.query_group[query] == retrieval.gallery_group[place]
            ):
                continue
            cosine = vector @ other / np.sqrt((vector @ vector) * (other @ other))
            values.append((-round(float(cosine) * 2**23), place))
        found.append([place for _, place in sorted(values)[:k]])
    return found


def test_the_best_are_those_of_a_plain_sort_with_ties_own_images_and_groups():
    rng = np.random.Generator(np.random.PCG64(3))
    for case in range(6):
        gallery = rng.integers(-2, 3, (40, 4)).astype(np.float32)
        gallery[(gallery == 0).all(axis=1)] = 1
        index = rng.permutation(40)[:25]
        groups = rng.integers(0, 12, 40)
        settings = [{}, {"query_index": index}, {"query_group": groups[index], "gallery_group": groups}]
        retrieval = Retrieval(gallery[index], gallery, **settings[case % 3])
        for k in (1, 4, 39):
            places, similarities = best_candidates(retrieval, k)
            expected = slow_best(retrieval, k)
            assert [[place for place in row if place >= 0] for row in places.tolist()] == expected
            assert (np.isnan(similarities) == (places < 0)).all()
            assert (np.diff(np.nan_to_num(similarities, nan=-2)) <= 0).all()


def test_ties_are_broken_by_the_order_of_the_gallery_and_few_candidates_leave_places_empty():
    query = np.array([[1.0, 0.0]], np.float32)
    gallery = np.array([[0, 1], [2, 0], [1, 0], [3, 0], [-1, 0]], np.float32)
    places, similarities = best_candidates(Retrieval(query, gallery, query_index=np.array([2])), 6)
    assert places.tolist() == [[1, 3, 0, 4, -1, -1]]
    assert similarities[0, :4].tolist() == [1, 1, 0, -1]
    assert best_candidates(Retrieval(query, gallery), 2)[0].tolist() == [[1, 2]]


def test_a_matrix_stands_in_for_the_vectors_and_what_is_not_a_number_ranks_last():
    vectors = np.ones((3, 2), np.float32)
    matrix = np.array([[0.5, np.nan, 0.75]], np.float32)
    places, similarities = best_candidates(Retrieval(vectors[:1], vectors, matrix=matrix), 3)
    assert places.tolist() == [[2, 0, 1]]
    assert similarities.tolist() == [[0.75, 0.5, -np.inf]]


def test_the_blocks_do_not_show(monkeypatch):
    rng = np.random.Generator(np.random.PCG64(5))
    retrieval = Retrieval(*(rng.standard_normal((n, 3)).astype(np.float32) for n in (21, 30)))
    whole = best_candidates(retrieval, 5)
    monkeypatch.setattr("reidflow.evaluation.ranking.BLOCK_ELEMENTS", 60)
    parts = best_candidates(retrieval, 5)
    assert all((one == other).all() for one, other in zip(whole, parts, strict=True))


def test_the_table_names_images_and_identities_and_agrees_with_the_metric():
    rng = np.random.Generator(np.random.PCG64(7))
    identity = rng.integers(0, 6, 60)
    vectors = (np.eye(6)[identity] + rng.normal(0, 0.5, (60, 6))).astype(np.float32)
    groups, index = rng.integers(0, 30, 60), np.arange(0, 60, 2)
    rules = {"query_index": index, "query_group": groups[index], "gallery_group": groups}
    table = pl.DataFrame({"image": [f"i{n}" for n in range(60)], "identity": [f"who {n}" for n in identity]})
    found = ranked_table(Retrieval(vectors[index], vectors, **rules), table[index], table, "an arm", 4)
    RANKED.check(found, "here")
    _, per_query = evaluate(vectors[index], vectors, identity[index], identity, **rules)
    first = dict(zip(table["image"][index], per_query["first_hit"], strict=True))
    assert len(found) == 30 * 10 and set(found["arm"]) == {"an arm"} and set(found["seed"]) == {4}
    for (query,), own in found.group_by("query", maintain_order=True):
        hits = own.filter("right")["rank"].to_list()
        assert own["rank"].to_list() == list(range(1, 11))
        assert (own["right"] == (own["identity"] == own["query_identity"])).all()
        assert query not in own["image"]
        expected = first[query]
        assert hits[:1] == ([expected] if expected is not None and expected <= 10 else [])
    assert found["query"].unique(maintain_order=True).to_list() == table["image"][index].to_list()


def test_a_similarity_that_is_not_finite_is_null_in_the_table():
    vectors = np.array([[1, 0], [1, 1], [np.nan, 0]], np.float32)
    table = pl.DataFrame({"image": list("abc"), "identity": ["x", "x", "y"]})
    found = ranked_table(Retrieval(vectors[:1], vectors, query_index=np.array([0])), table[:1], table, "a", 0)
    RANKED.check(found, "here")
    assert found["image"].to_list() == ["b", "c"]
    assert found["similarity"].is_null().to_list() == [False, True]
