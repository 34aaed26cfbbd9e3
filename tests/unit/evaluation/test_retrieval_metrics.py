import numpy as np
import polars as pl
import pytest
from slow_metric import candidates, expected_average_precision, over_all_orders, precision_of_order

from reidflow.evaluation.metrics import (
    average_precision_at_r,
    chance_level,
    cluster_agreement,
    evaluate,
    face_score,
    first_hit,
    top_k,
)
from reidflow.evaluation.ranking import integer_codes, similarity_of, tie_groups


def scene(seed: int = 0, count: int = 120, identities: int = 12):
    rng = np.random.Generator(np.random.PCG64(seed))
    identity = rng.integers(0, identities, count)
    centres = rng.standard_normal((identities, 16))
    vectors = (centres[identity] + 1.5 * rng.standard_normal((count, 16))).astype(np.float32)
    return vectors, identity, rng.integers(0, count // 2, count)


def test_ranks_under_ties_are_means_over_every_order():
    rng = np.random.Generator(np.random.PCG64(4))
    for _ in range(25):
        similarities = (rng.integers(0, 3, (1, 7)) / 4).astype(np.float32)
        positive = rng.random((1, 7)) < 0.4
        positive[0, rng.integers(7)] = True
        groups = tie_groups(similarities, positive)
        every = (similarities[0].tolist(), positive[0])
        for k in (1, 2, 3, 5, 10):
            slow = over_all_orders(*every, lambda hits, k=k: float(any(hits[:k])))
            assert top_k(groups, k)[0] == pytest.approx(slow, abs=1e-12)
        relevant = int(positive.sum())
        slow = over_all_orders(*every, lambda hits, depth=relevant: precision_of_order(hits, depth))
        assert average_precision_at_r(groups)[0] == pytest.approx(slow, abs=1e-12)
        strictly_worse = max(
            over_all_orders(*every, lambda hits, k=k: float(not any(hits[:k]))) > 0 and k + 1 for k in range(7)
        )
        assert first_hit(groups)[0] == strictly_worse


def test_chance_is_the_value_of_a_ranking_that_knows_nothing():
    rng = np.random.Generator(np.random.PCG64(1))
    for positives, count in [(1, 1), (1, 9), (3, 8), (8, 8)]:
        flat = expected_average_precision(np.zeros(count), np.arange(count) < positives)
        assert chance_level(np.array([positives]), np.array([count]))[0] == pytest.approx(flat, abs=1e-12)
    drawn = [precision_of_order(rng.permutation(np.arange(30) < 4).tolist()) for _ in range(20000)]
    assert chance_level(np.array([4]), np.array([30]))[0] == pytest.approx(np.mean(drawn), abs=0.005)
    vectors, identity, group = scene()
    index = np.arange(len(vectors))
    same = np.ones_like(vectors)
    metrics, _ = evaluate(same, same, identity, identity, query_index=index, query_group=group, gallery_group=group)
    assert metrics["id_map"] == pytest.approx(metrics["chance"], abs=1e-12)


def test_metrics_equal_a_slow_computation():
    vectors, identity, group = scene()
    index = np.arange(len(vectors))
    metrics, queries = evaluate(
        vectors, vectors, identity, identity, query_index=index, query_group=group, gallery_group=group, block=17
    )
    long = vectors.astype(np.float64)
    long /= np.linalg.norm(long, axis=1, keepdims=True)
    cosines = long @ long.T
    values, hits, near, far, plain = [], [], [], [], []
    for query in index:
        kept = candidates(query, query, len(vectors), group, group)
        positive = identity[kept] == identity[query]
        values.append(expected_average_precision(cosines[query, kept], positive))
        ranked = positive[np.argsort(-cosines[query, kept])]
        hits.append(int(np.flatnonzero(ranked)[0]) + 1 if ranked.any() else None)
        near += list(1 - cosines[query, kept][positive])
        far += list(1 - cosines[query, kept][~positive])
        alone = candidates(query, query, len(vectors))
        plain.append(expected_average_precision(cosines[query, alone], identity[alone] == identity[query]))
    values, plain = np.array(values), np.array(plain)
    per_identity = [np.nanmean(values[identity == i]) for i in np.unique(identity)]
    np.testing.assert_allclose(queries["ap"].to_numpy(), values, atol=1e-9)
    np.testing.assert_allclose(queries["ap_unfiltered"].to_numpy(), plain, atol=1e-9)
    assert queries["first_hit"].to_list() == hits
    assert metrics["id_map"] == pytest.approx(np.mean(per_identity), abs=1e-9)
    assert metrics["map"] == pytest.approx(np.nanmean(values), abs=1e-9)
    found = [hit for hit in hits if hit]
    for k in (1, 5, 10):
        assert metrics[f"top{k}"] == pytest.approx(np.mean([hit <= k for hit in found]), abs=1e-12)
    assert metrics["intra"] == pytest.approx(np.mean(near), abs=1e-6)
    assert metrics["inter"] == pytest.approx(np.mean(far), abs=1e-6)
    assert metrics["queries"] + metrics["skipped"] == len(vectors)


def test_siblings_of_a_burst_are_easy_only_in_the_unfiltered_value():
    rng = np.random.Generator(np.random.PCG64(9))
    bursts = rng.standard_normal((40, 32))
    vectors = np.repeat(bursts, 3, axis=0).astype(np.float32)
    identity, group = np.repeat(np.arange(40) // 4, 3), np.repeat(np.arange(40), 3)
    metrics, _ = evaluate(
        vectors, vectors, identity, identity, query_index=np.arange(120), query_group=group, gallery_group=group
    )
    assert metrics["top1"] < 0.4
    assert metrics["id_map_unfiltered"] > metrics["id_map"] + 0.1
    assert metrics["id_map"] < metrics["chance"] + 0.1


def test_query_and_gallery_sides():
    gallery = np.eye(3, dtype=np.float32)
    queries = np.array([[1, 0.1, 0], [0.6, 1, 0], [1, 0, 0.2]], dtype=np.float32)
    metrics, table = evaluate(queries, gallery, np.array([0, 0, 9]), np.array([0, 1, 2]))
    assert table["ap"].to_list() == [1.0, 0.5, None]
    assert table["first_hit"].to_list() == [1, 2, None]
    assert table.schema == {"ap": pl.Float64, "ap_unfiltered": pl.Float64, "first_hit": pl.Int64}
    assert (metrics["queries"], metrics["skipped"], metrics["identities"]) == (2, 1, 1)
    assert face_score(metrics) == pytest.approx(600 * 0.5 + 300 + 100)


def test_clusters_agree_with_identities_that_are_well_apart_and_repeat_exactly():
    rng = np.random.Generator(np.random.PCG64(0))
    identity = np.arange(60) % 6
    apart = (np.eye(6)[identity] + 0.01 * rng.standard_normal((60, 6))).astype(np.float32)
    noise = rng.standard_normal((60, 6)).astype(np.float32)
    clear, _ = evaluate(apart, apart, identity, identity, query_index=np.arange(60))
    first, _ = evaluate(noise, noise, identity, identity, query_index=np.arange(60), seed=3)
    again, _ = evaluate(noise, noise, identity, identity, query_index=np.arange(60), seed=3)
    assert clear["nmi"] == pytest.approx(1.0)
    assert clear["intra"] < 0.01 < 0.9 < clear["inter"]
    assert first["nmi"] < 0.5
    assert first == again


def test_a_run_that_diverged_scores_chance():
    vectors, identity, _ = scene()
    lost = np.full_like(vectors, np.nan)
    metrics, _ = evaluate(lost, lost, identity, identity, query_index=np.arange(len(lost)))
    assert metrics["id_map"] == pytest.approx(metrics["chance"], abs=1e-12)
    assert all(np.isnan(metrics[name]) for name in ("nmi", "intra", "inter"))


def test_nobody_scored_is_said_without_an_error():
    vectors = np.eye(3, dtype=np.float32)
    metrics, table = evaluate(vectors, vectors, np.arange(3), np.arange(3), query_index=np.arange(3))
    assert (metrics["queries"], metrics["skipped"], metrics["identities"]) == (0, 3, 0)
    assert np.isnan(metrics["id_map"])
    assert table["ap"].null_count() == 3


def test_missing_names_are_nobodys_kin():
    query, gallery = integer_codes(["b", None, "a"], ["a", None, "b", None])
    assert query[0] == gallery[2]
    assert query[2] == gallery[0]
    assert len({query[1], gallery[1], gallery[3], query[0], query[2]}) == 5


def test_clusters_of_a_curved_space_are_found_in_its_tangent_space():
    rng = np.random.Generator(np.random.PCG64(4))
    identity = np.arange(80) % 8
    directions = rng.standard_normal((8, 3))[identity] + 0.6 * rng.standard_normal((80, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radii = np.tanh(rng.uniform(0.2, 3, (80, 1)))
    points = directions * radii
    metrics, _ = evaluate(
        points, points, identity, identity, query_index=np.arange(80), similarity=similarity_of("poincare")
    )
    tangent = directions * 2 * np.arctanh(radii)
    assert metrics["nmi"] == pytest.approx(cluster_agreement(tangent, identity, 0, normalise=False), abs=1e-9)
    assert abs(metrics["nmi"] - cluster_agreement(points, identity, 0, normalise=False)) > 0.01
