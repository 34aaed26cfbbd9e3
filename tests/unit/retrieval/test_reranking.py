from dataclasses import replace

import numpy as np
import pytest
from slow_reranking import final_distances, squared_distances
from threadpoolctl import threadpool_limits

from reidflow.evaluation.metrics import evaluate_retrieval
from reidflow.evaluation.retrieval_queries import Retrieval, infer, scores
from reidflow.models.geometries import euclidean, poincare
from reidflow.retrieval.inference.k_reciprocal import apply
from reidflow.spec.errors import ReidflowError

ROOT = np.sqrt(0.5)


def scene(seed: int, count: int = 40, identities: int = 6, noise: float = 0.6):
    rng = np.random.Generator(np.random.PCG64(seed))
    identity = rng.integers(0, identities, count)
    vectors = rng.standard_normal((identities, 8))[identity] + noise * rng.standard_normal((count, 8))
    return vectors.astype(np.float32), identity, rng


@pytest.mark.parametrize(
    ("k1", "k2", "weight"), [(20, 6, 0.3), (7, 1, 0.0), (5, 3, 1.0), (1, 2, 0.5), (3, 90, 0.1), (90, 4, 0.3)]
)
def test_the_distances_are_those_of_the_paper(k1, k2, weight):
    for seed in range(3):
        vectors, _, _ = scene(seed)
        retrieval = Retrieval(vectors[:15], vectors[15:])
        images = np.concatenate([vectors[15:], vectors[:15]])
        slow = final_distances(squared_distances(images), range(25, 40), range(25), k1, k2, weight)
        assert 1 - apply(retrieval, k1=k1, k2=k2, lambda_=weight).matrix == pytest.approx(slow, abs=1e-6)


def test_copies_and_ties_rank_by_row():
    vectors, _, rng = scene(3)
    vectors[30:] = vectors[rng.integers(0, 30, 10)]
    vectors[:8] = np.eye(8)[rng.integers(0, 3, 8)]
    retrieval = Retrieval(vectors[:10], vectors[10:])
    images = np.concatenate([vectors[10:], vectors[:10]])
    slow = final_distances(squared_distances(images), range(30, 40), range(30), 6, 3, 0.3)
    assert 1 - apply(retrieval, k1=6, k2=3).matrix == pytest.approx(slow, abs=1e-6)


def test_a_query_of_the_gallery_is_one_image_and_its_group_helps_nobody_of_it():
    vectors, _, rng = scene(4)
    group = rng.integers(0, 14, 40)
    places = rng.permutation(40)[:25]
    retrieval = Retrieval(vectors[places], vectors, places, group[places], group)
    slow = final_distances(squared_distances(vectors), places, range(40), 8, 4, 0.3, group)
    assert 1 - apply(retrieval, k1=8, k2=4).matrix == pytest.approx(slow, abs=1e-6)


def test_queries_in_and_outside_of_the_gallery_share_one_graph():
    vectors, _, rng = scene(5)
    group = rng.integers(0, 30, 40)
    queries = np.array([3, 35, 8, 38, 39, 20, 30, 31, 32, 33, 34, 36, 37])
    retrieval = Retrieval(
        vectors[queries], vectors[:30], np.where(queries < 30, queries, -1), group[queries], group[:30]
    )
    outside = [q for q in queries if q >= 30]
    images = [*range(30), *outside]
    place = [images.index(q) for q in queries]
    slow = final_distances(squared_distances(vectors[images]), place, range(30), 6, 3, 0.3, group[images])
    assert 1 - apply(retrieval, k1=6, k2=3).matrix == pytest.approx(slow, abs=1e-6)


@pytest.mark.parametrize("similarity", [euclidean.similarity, poincare.similarity])
def test_any_geometry_will_do(similarity):
    vectors, _, _ = scene(6)
    vectors *= np.float32(0.15)
    slow = final_distances(np.square(similarity(vectors, vectors)), range(25, 40), range(25), 6, 3, 0.3)
    retrieval = Retrieval(vectors[25:], vectors[:25], similarity=similarity)
    assert 1 - apply(retrieval, k1=6, k2=3).matrix == pytest.approx(slow, abs=1e-6)


def test_what_all_pairs_of_images_score_takes_the_place_of_embeddings():
    """Scores of any scale, whose order and proportions are the cosines'; also for queries that an earlier step has moved."""
    vectors, _, rng = scene(6)
    group, queries = rng.integers(0, 30, 40), np.array([3, 35, 8, 38, 39, 20, 30])
    index = np.where(queries < 30, queries, -1)
    moved = vectors[queries] + 0.3 * rng.standard_normal((7, 8)).astype(np.float32)
    retrieval = Retrieval(moved, vectors[:30], index, group[queries], group[:30])
    everyone = retrieval.everyone()
    cosines = scores(everyone, slice(0, len(everyone.queries)))
    scaled = replace(retrieval, matrix=np.zeros((7, 30), np.float32), among=(7 * cosines - 3).astype(np.float32))
    assert apply(scaled, k1=6, k2=3).matrix == pytest.approx(apply(retrieval, k1=6, k2=3).matrix, abs=1e-5)


def test_a_moved_query_of_the_gallery_keeps_its_old_place_for_the_others():
    vectors, _, rng = scene(7)
    places = np.arange(40)
    still = apply(Retrieval(vectors, vectors, places), k1=6, k2=3).matrix
    moved = vectors.copy()
    moved[11] += rng.standard_normal(8).astype(np.float32)
    found = apply(Retrieval(moved, vectors, places), k1=6, k2=3).matrix
    others = places != 11
    assert np.array_equal(found[others], still[others])
    assert not np.array_equal(found[11], still[11])


def test_a_moved_query_by_hand():
    angles = np.deg2rad([0, 30, 180])
    gallery = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    retrieval = Retrieval(np.array([[ROOT, ROOT]], np.float32), gallery, np.array([0]))
    # The query, at 45 degrees, stands for the image at 0; that and the one at 30 are each other's nearest.
    near, far, old = (2 - 2 * np.cos(np.deg2rad(angle)) for angle in (15, 135, 30))
    wanted = np.array([1, np.exp(-near / far), 0])
    shown = np.array([np.exp(-old / (2 - 2 * np.cos(np.deg2rad(150)))), 1, 0])
    wanted, shown = wanted / wanted.sum(), shown / shown.sum()
    jaccard = 1 - np.minimum(wanted, shown).sum() / np.maximum(wanted, shown).sum()
    found = 1 - apply(retrieval, k1=1, k2=1, lambda_=0.25).matrix[0]
    assert found[1:] == pytest.approx([0.75 * jaccard + 0.25 * near / far, 1.0], abs=1e-6)


def test_the_bits_do_not_depend_on_the_threads():
    rng = np.random.Generator(np.random.PCG64(8))
    vectors = rng.standard_normal((700, 300)).astype(np.float32)
    retrieval = Retrieval(vectors[:200], vectors[200:])
    matrices = []
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            matrices.append(apply(retrieval).matrix)
    assert np.array_equal(*matrices)


def test_neighbours_in_common_find_positives_that_noise_has_taken_away():
    vectors, identity, _ = scene(0, count=240, identities=20, noise=0.9)
    retrieval = Retrieval(vectors[:60], vectors[60:])
    plain = evaluate_retrieval(retrieval, identity[:60], identity[60:])[0]
    again = evaluate_retrieval(apply(retrieval, k1=8, k2=3), identity[:60], identity[60:])[0]
    assert again["id_map"] > plain["id_map"] + 0.05
    assert [again[name] for name in ("intra", "inter", "nmi")] == [plain[name] for name in ("intra", "inter", "nmi")]


def test_embeddings_that_are_not_finite_rank_last_and_help_nobody():
    vectors, _, _ = scene(9)
    lost = vectors.copy()
    lost[[2, 20]] = np.nan
    found = apply(Retrieval(lost[:15], lost[15:]), k1=6, k2=3)
    kept = [row for row in range(40) if row not in (2, 20)]
    alone = apply(
        Retrieval(vectors[[row for row in kept if row < 15]], vectors[[r for r in kept if r >= 15]]), k1=6, k2=3
    )
    assert np.array_equal(np.delete(np.delete(found.matrix, 2, 0), 5, 1), alone.matrix)
    assert np.isneginf(scores(found, slice(2, 3))).all() and np.isneginf(scores(found, slice(0, 1))[0, 5])


def test_a_gallery_of_one_and_impossible_parameters():
    vectors, _, _ = scene(10)
    assert apply(Retrieval(vectors[:1], vectors[1:2])).matrix.shape == (1, 1)
    for wrong in ({"k1": 0}, {"k2": 0}, {"lambda_": 1.5}):
        with pytest.raises(ReidflowError, match="k_reciprocal takes"):
            apply(Retrieval(vectors[:5], vectors[5:]), **wrong)
    step = {"name": "k_reciprocal", "k1": 3, "k2": 2, "lambda_": 0.3}
    with pytest.raises(ReidflowError, match="replaced"):
        infer(Retrieval(vectors[:5], vectors[5:]), [step, step])
