import dataclasses

import numpy as np
import pytest

from reidflow.evaluation.metrics import cluster_agreement, evaluate, evaluate_retrieval
from reidflow.evaluation.retrieval_queries import Retrieval, infer, scores
from reidflow.models.geometries import euclidean
from reidflow.retrieval.inference import (
    alpha_query_expansion,
    coral,
    database_augmentation,
    domain_normalisation,
    flank_first,
    flip,
    query_expansion,
)
from reidflow.spec import components
from reidflow.spec.errors import ReidflowError
from reidflow.spec.inference import FLAT_SPACES, around_ranking, needs_all_pairs, problem, transductive

AVERAGING = {
    "query_expansion": query_expansion.apply,
    "alpha_query_expansion": alpha_query_expansion.apply,
    "database_augmentation": database_augmentation.apply,
}
ROOT = np.sqrt(0.5)


def vectors(*rows) -> np.ndarray:
    return np.array(rows, np.float32)


def scene(seed: int = 0, count: int = 60, identities: int = 8, noise: float = 0.7):
    rng = np.random.Generator(np.random.PCG64(seed))
    identity = rng.integers(0, identities, count)
    points = rng.standard_normal((identities, 8))[identity] + noise * rng.standard_normal((count, 8))
    return points.astype(np.float32), identity, rng


def layout(seed: int = 0) -> Retrieval:
    """Queries in the gallery, bursts included."""
    points, _, rng = scene(seed)
    group, places = rng.integers(0, 25, 60), rng.permutation(60)[:30]
    return Retrieval(points[places], points, places, group[places], group)


def unit(points: np.ndarray) -> np.ndarray:
    return points / np.linalg.norm(points, axis=1, keepdims=True)


# What every evaluation rests on.


@pytest.mark.parametrize("similarity", [None, euclidean.similarity])
def test_a_retrieval_is_scored_as_its_vectors_are(similarity):
    points, identity, rng = scene()
    group, places = rng.integers(0, 25, 60), np.arange(60)
    rules = {"query_index": places, "query_group": group, "gallery_group": group, "similarity": similarity}
    values, per_query = evaluate(points, points, identity, identity, **rules, seed=3)
    retrieval = Retrieval(points, points, **rules)
    again, table = evaluate_retrieval(retrieval, identity, identity, seed=3, block=7)
    assert again == values and table.equals(per_query)
    assert infer(retrieval, []) is retrieval
    as_matrix = dataclasses.replace(retrieval, matrix=scores(retrieval, slice(None)).astype(np.float32))
    again, table = evaluate_retrieval(as_matrix, identity, identity, seed=3)
    assert again == values and table.equals(per_query)


def test_clusters_count_a_query_of_the_gallery_once():
    points, identity, _ = scene(noise=1.5)
    retrieval = Retrieval(points[:20], points, np.arange(20))
    assert evaluate_retrieval(retrieval, identity[:20], identity)[0]["nmi"] == cluster_agreement(
        points[:20], identity[:20], 0
    )
    apart = evaluate_retrieval(Retrieval(points[:20], points[20:]), identity[:20], identity[20:])[0]
    assert apart["nmi"] == cluster_agreement(points, identity, 0)


def test_a_matrix_decides_the_ranking_and_the_vectors_the_rest():
    points, identity, _ = scene()
    retrieval = Retrieval(points[:20], points[20:])
    true = (identity[:20, None] == identity[20:]).astype(np.float32)
    values, _ = evaluate_retrieval(retrieval, identity[:20], identity[20:])
    oracle, per_query = evaluate_retrieval(
        dataclasses.replace(retrieval, matrix=true), identity[:20], identity[20:], block=3
    )
    assert oracle["id_map"] == oracle["top1"] == 1 > values["id_map"]
    assert per_query["first_hit"].drop_nulls().to_list() == [int(row.sum() > 0) for row in true if row.sum()]
    assert [oracle[name] for name in ("nmi", "intra", "inter")] == [values[name] for name in ("nmi", "intra", "inter")]


def test_scores_of_a_block_are_those_of_the_whole():
    points, _, _ = scene()
    retrieval = Retrieval(points[:20], points[20:])
    whole = scores(retrieval, slice(None))
    assert np.array_equal(whole[5:9], scores(retrieval, slice(5, 9)))
    assert whole == pytest.approx(unit(points[:20]) @ unit(points[20:]).T, abs=1e-6)
    assert scores(retrieval, slice(20, 30)).shape == (0, 40)


# By hand.


def test_flip_is_the_mean_of_the_directions():
    retrieval = Retrieval(vectors([2, 0]), vectors([0, 3], [1, 0]))
    mirrored = Retrieval(vectors([0, 5]), vectors([0, 1], [-1, 0]))
    found = infer(retrieval, [{"name": "flip"}], mirrored)
    assert found.queries == pytest.approx(vectors([ROOT, ROOT]), abs=1e-7)
    assert found.gallery == pytest.approx(vectors([0, 1], [0, 0]), abs=1e-7)
    flat = [dataclasses.replace(side, similarity=euclidean.similarity) for side in (retrieval, mirrored)]
    assert flip.apply(*flat).queries.tolist() == [[1.0, 2.5]]


def test_query_expansion_is_the_mean_of_the_query_and_its_k_nearest():
    retrieval = Retrieval(vectors([1, 0, 0]), vectors([0, 0, 1], [0.6, 0.8, 0], [0.8, 0, 0.6], [-1, 0, 0]))
    # The two nearest have the cosines 0.8 and 0.6; the sum of the three unit vectors is (2.4, 0.8, 0.6).
    found = query_expansion.apply(retrieval, k=2)
    assert found.queries == pytest.approx(unit(np.array([[2.4, 0.8, 0.6]])), abs=1e-7)
    assert found.gallery is retrieval.gallery and found.matrix is None
    everything = query_expansion.apply(retrieval, k=9)
    assert everything.queries == pytest.approx(unit(np.array([[1.4, 0.8, 1.6]])), abs=1e-7)
    flat = query_expansion.apply(dataclasses.replace(retrieval, similarity=euclidean.similarity), k=1)
    assert flat.queries == pytest.approx(np.array([[0.9, 0, 0.3]]), abs=1e-7)


def test_alpha_query_expansion_weighs_by_a_power_of_the_cosine():
    retrieval = Retrieval(vectors([1, 0, 0]), vectors([0.6, 0.8, 0], [0.8, 0, 0.6], [-1, 0, 0]))
    total = np.array([[1 + 0.6**3 * 0.6 + 0.8**3 * 0.8, 0.6**3 * 0.8, 0.8**3 * 0.6]])
    for k in (2, 3, 10):
        assert alpha_query_expansion.apply(retrieval, k=k).queries == pytest.approx(unit(total), abs=1e-6)
    plain = query_expansion.apply(retrieval, k=2).queries
    assert alpha_query_expansion.apply(retrieval, k=2, alpha=0.0).queries == pytest.approx(plain, abs=1e-7)


def test_database_augmentation_weighs_the_neighbours_by_rank():
    retrieval = Retrieval(vectors([0, 1, 0]), vectors([1, 0, 0], [0.8, 0.6, 0], [0.6, 0, 0.8], [0, 0, -1]))
    found = database_augmentation.apply(retrieval, k=2)
    assert found.matrix is None and found.queries == pytest.approx(retrieval.queries)
    # The nearest of the first are the second (weight 2/3) and the third (weight 1/3).
    expected = np.array([[1 + 2 / 3 * 0.8 + 1 / 3 * 0.6, 2 / 3 * 0.6, 1 / 3 * 0.8]])
    assert found.gallery[:1] == pytest.approx(unit(expected), abs=1e-7)
    assert database_augmentation.apply(retrieval, k=50).gallery.shape == (4, 3)


def test_domain_normalisation_gives_each_side_mean_nought_and_spread_one():
    retrieval = Retrieval(vectors([1, 7, 2], [3, 3, 2]), vectors([0, 0, 5], [4, 2, 5]), similarity=euclidean.similarity)
    found = domain_normalisation.apply(retrieval)
    assert found.queries.tolist() == [[-1, 1, 0], [1, -1, 0]]
    assert found.gallery.tolist() == [[-1, -1, 0], [1, 1, 0]]
    assert domain_normalisation.apply(retrieval, scale=False).queries.tolist() == [[-1, 2, 0], [1, -2, 0]]
    assert domain_normalisation.apply(retrieval, centre=False).queries.tolist() == [[1, 6, 2], [3, 4, 2]]


def test_coral_gives_the_queries_the_mean_and_covariance_of_the_gallery():
    points, _, rng = scene(count=400)
    retrieval = Retrieval(points[:200] @ rng.standard_normal((8, 8)) + 4, points[200:], similarity=euclidean.similarity)
    found = coral.apply(retrieval, shrinkage=1e-9)
    assert found.queries.mean(axis=0) == pytest.approx(points[200:].mean(axis=0), abs=1e-4)
    assert np.cov(found.queries.T) == pytest.approx(np.cov(points[200:].T), abs=1e-3)
    assert found.gallery is retrieval.gallery
    # All shrinkage: the mean variance alone, (4 + 1) / 2 against 1 (times 4/3, as of samples).
    few = Retrieval(vectors([2, 1], [-2, 1], [2, -1], [-2, -1]), vectors([1, 1], [-1, 1], [1, -1], [-1, -1]))
    flat = dataclasses.replace(few, similarity=euclidean.similarity)
    assert coral.apply(flat, shrinkage=1.0).queries == pytest.approx(few.queries / np.sqrt(2.5), abs=1e-6)


# Planted truth.


def score(retrieval: Retrieval, query_identity, gallery_identity) -> float:
    return evaluate_retrieval(retrieval, query_identity, gallery_identity)[0]["id_map"]


@pytest.mark.parametrize("method", ["query_expansion", "alpha_query_expansion"])
def test_a_query_at_the_edge_of_its_cluster_is_brought_in_by_its_neighbours(method):
    # Positives from 15 to 60 degrees; the query at 0; negatives at -45.
    angles = np.deg2rad([15, 25, 35, 50, 60, -45, -46, -47])
    gallery = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    retrieval, identity = Retrieval(vectors([1, 0]), gallery), np.array([0] * 5 + [1] * 3)
    assert score(retrieval, np.zeros(1), identity) < 1
    assert score(AVERAGING[method](retrieval, k=3), np.zeros(1), identity) == 1


def test_an_image_of_the_gallery_at_the_edge_of_its_cluster_is_brought_in_by_its_neighbours():
    angles = np.deg2rad([5, 10, 15, 40, -35, -60, -62])
    gallery = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    retrieval, identity = Retrieval(vectors([1, 0]), gallery), np.array([0] * 4 + [1] * 3)
    assert score(retrieval, np.zeros(1), identity) < 1
    assert score(database_augmentation.apply(retrieval, k=2), np.zeros(1), identity) == 1


@pytest.mark.parametrize("method", [domain_normalisation.apply, coral.apply])
def test_a_planted_shift_between_the_domains_is_undone(method):
    points, identity, rng = scene(count=600, identities=12, noise=0.3)
    stretched = points[:300] * rng.uniform(0.3, 3, 8) + rng.uniform(-4, 4, 8)
    retrieval = Retrieval(stretched.astype(np.float32), points[300:], similarity=euclidean.similarity)
    truth = Retrieval(points[:300], points[300:], similarity=euclidean.similarity)
    best, worst, found = (score(each, identity[:300], identity[300:]) for each in (truth, retrieval, method(retrieval)))
    assert worst < best - 0.3 and found > best - 0.05
    sphere = dataclasses.replace(retrieval, similarity=None)
    assert score(method(sphere), identity[:300], identity[300:]) > score(sphere, identity[:300], identity[300:]) + 0.05


# Who must not help.


@pytest.mark.parametrize("name", list(AVERAGING))
def test_neither_the_query_itself_nor_its_burst_helps(name):
    retrieval = layout()
    found = AVERAGING[name](retrieval, k=4)
    for query in range(len(retrieval.queries)):
        kept = (retrieval.gallery_group != retrieval.query_group[query]) & (
            np.arange(60) != retrieval.query_index[query]
        )
        alone = Retrieval(
            retrieval.queries[[query]],
            retrieval.gallery[kept],
            None,
            retrieval.query_group[[query]],
            retrieval.gallery_group[kept],
        )
        expected = scores(AVERAGING[name](alone, k=4), slice(None))[0]
        assert scores(found, slice(query, query + 1))[0, kept] == pytest.approx(expected, abs=2e-7)


def test_a_gallery_image_is_not_helped_by_its_own_burst():
    gallery = vectors([1, 0, 0], [0.999, 0.01, 0], [0.8, 0.6, 0], [0, 0, 1])
    group = np.array([0, 0, 1, 2])
    retrieval = Retrieval(vectors([0, 1, 0]), gallery, None, np.array([9]), group)
    found = database_augmentation.apply(retrieval, k=1).gallery
    assert found[0] == pytest.approx(unit(np.array([[1.4, 0.3, 0]]))[0], abs=1e-6)


def test_without_a_gallery_to_ask_nothing_changes():
    points, _, _ = scene()
    own = Retrieval(points[:3], points[:3], np.arange(3), np.zeros(3, int), np.zeros(3, int))
    for apply in AVERAGING.values():
        found = apply(own, k=2)
        assert found.queries == pytest.approx(unit(points[:3]), abs=1e-6)
        assert found.gallery == pytest.approx(
            points[:3] if found.gallery is own.gallery else unit(points[:3]), abs=1e-6
        )


@pytest.mark.parametrize("name", ["query_expansion", "alpha_query_expansion", "database_augmentation", "k_reciprocal"])
def test_what_is_not_transductive_does_not_depend_on_the_other_queries(name):
    points, _, _ = scene()
    step = components.resolve("inference", name)
    together = infer(Retrieval(points[:20], points[20:]), [step])
    alone = infer(Retrieval(points[:1], points[20:]), [step])
    same = np.array_equal(scores(together, slice(0, 1)), scores(alone, slice(0, 1)))
    assert same == (transductive([step]) == [])


# What cannot be done.


def test_lost_embeddings_help_nobody_and_stay_lost():
    points, _, _ = scene()
    lost = points.copy()
    lost[[3, 40]] = np.nan
    for apply in (*AVERAGING.values(), domain_normalisation.apply, coral.apply):
        found = apply(Retrieval(lost[:20], lost[20:]))
        alone = apply(Retrieval(np.delete(points[:20], 3, 0), np.delete(points[20:], 20, 0)))
        assert np.isnan(found.queries[3]).all() and np.isnan(found.gallery[20]).all()
        assert np.delete(found.queries, 3, 0) == pytest.approx(alone.queries, abs=1e-6)
        assert np.delete(found.gallery, 20, 0) == pytest.approx(alone.gallery, abs=1e-6)
        none = apply(Retrieval(np.full((4, 8), np.nan, np.float32), points))
        assert np.isnan(none.queries).all()


def test_a_curved_geometry_has_no_means_and_planning_knows_it():
    points, _, _ = scene()
    for geometry in components.names("geometry"):
        similarity = components.load("geometry", geometry).similarity
        flanks = {"query_flank": np.arange(20) % 2, "gallery_flank": np.arange(40) % 2}
        retrieval = Retrieval(points[:20] * 0.1, points[20:] * 0.1, similarity=similarity, **flanks)
        for name in components.names("inference"):
            step = components.resolve("inference", name)
            if components.declared("inference", name, "FLAT") and geometry not in FLAT_SPACES:
                assert "use k_reciprocal" in problem([step], geometry)
                with pytest.raises(ReidflowError, match="Use 'k_reciprocal'"):
                    infer(retrieval, [step], retrieval)
            else:
                assert problem([step], geometry) is None
                assert scores(infer(retrieval, [step], retrieval), slice(None)).shape == (20, 40)


def test_the_order_of_steps_is_checked_before_and_while_it_is_done():
    retrieval = layout()
    steps = {name: components.resolve("inference", name) for name in components.names("inference")}
    for wrong, where in [
        (["k_reciprocal", "query_expansion"], "last"),
        (["database_augmentation", "k_reciprocal"], "last"),
        (["coral", "flip"], "first"),
    ]:
        chosen = [steps[name] for name in wrong]
        assert f"put it {where}" in problem(chosen, "hypersphere")
        with pytest.raises(ReidflowError, match="inference"):
            infer(retrieval, chosen, retrieval)
    with pytest.raises(ReidflowError, match="mirrored"):
        infer(retrieval, [steps["flip"]])
    right = [steps[name] for name in ("flip", "coral", "query_expansion", "database_augmentation")]
    assert problem(right, "hypersphere") is None and infer(retrieval, right, retrieval).matrix.shape == (30, 60)
    assert transductive([*right, steps["k_reciprocal"]]) == ["coral", "k_reciprocal"]


def test_parameters_that_mean_nothing_are_refused():
    points, _, _ = scene()
    retrieval = Retrieval(points[:20], points[20:])
    for apply in AVERAGING.values():
        with pytest.raises(ReidflowError, match="at least 1"):
            apply(retrieval, k=0)
    with pytest.raises(ReidflowError, match="shrinkage"):
        coral.apply(retrieval, shrinkage=0.0)


# Same flank first.


def flanked(similarity=None, matrix=None):
    """Queries left, right and unknown; candidates left, right, unknown, right, left, the most similar first but for a NaN."""
    points = vectors(*((s, np.sqrt(1 - s * s)) for s in (0.9, 0.8, 0.7, 0.6)), (np.nan, 0))
    flanks = {"query_flank": np.array([0, 1, -1]), "gallery_flank": np.array([0, 1, -1, 1, 0])}
    return Retrieval(vectors(*3 * [(1, 0)]), points, similarity=similarity, matrix=matrix, **flanks)


@pytest.mark.parametrize("similarity", [None, euclidean.similarity])
def test_candidates_of_another_flank_come_after_all_others_in_their_order(similarity):
    found = scores(flank_first.apply(flanked(similarity)), slice(None))
    assert [np.argsort(-row, kind="stable").tolist() for row in found] == [
        [0, 2, 1, 3, 4],
        [1, 2, 3, 0, 4],
        [0, 1, 2, 3, 4],
    ]
    assert np.isneginf(found[:, 4]).all()
    plain = scores(flanked(similarity), slice(None))
    assert found[0, [0, 2]] == pytest.approx(plain[0, [0, 2]], abs=1e-6) and found[2, :4] == pytest.approx(
        plain[2, :4], abs=1e-6
    )


def test_a_penalty_lets_similar_candidates_of_another_flank_come_early():
    found = scores(flank_first.apply(flanked(), penalty=0.15), slice(None))
    assert found[0, :4] == pytest.approx([0.9, 0.65, 0.7, 0.45], abs=1e-6)
    assert found[1, :4] == pytest.approx([0.75, 0.8, 0.7, 0.6], abs=1e-6)


def test_the_flank_comes_first_after_any_other_step_and_needs_a_known_one():
    steps = [{"name": "k_reciprocal"}, {"name": "flank_first"}]
    assert problem(steps, "poincare") is None and "put it last" in problem(steps[::-1], "poincare")
    assert "k_reciprocal" in problem([steps[0], steps[0]], "hypersphere") and transductive(steps) == ["k_reciprocal"]
    assert around_ranking(steps) == ([], steps)
    assert needs_all_pairs(steps) and not needs_all_pairs(steps[1:])
    matrix = np.array([[0.1, 0.2, 0.3, 0.4, 0.5]] * 3, np.float32)
    found = scores(flank_first.apply(flanked(matrix=matrix)), slice(None))
    assert np.argsort(-found[0]).tolist() == [4, 2, 0, 3, 1]
    for unknown in (
        {"query_flank": None, "gallery_flank": None},
        {"query_flank": np.full(3, -1), "gallery_flank": np.full(5, -1)},
    ):
        with pytest.raises(ReidflowError, match="no query and no candidate has a flank"):
            flank_first.apply(dataclasses.replace(flanked(), **unknown))
    with pytest.raises(ReidflowError, match="penalty above 0"):
        flank_first.apply(flanked(), penalty=0)
