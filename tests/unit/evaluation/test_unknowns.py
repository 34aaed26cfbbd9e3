"""New individuals that are planted apart are found as individuals, and cuts are chosen on validation."""

import numpy as np
import pytest

from reidflow.evaluation.unknowns import COMPONENTS, HDBSCAN, Linking, agreement, fit_linking, of_groups


def sightings(rng, individuals, groups, noise):
    """Return similarities (n, n) of groups of individuals, and the individual (n,) of each."""
    identity = np.repeat(np.arange(individuals), groups)
    points = rng.standard_normal((individuals, 16))[identity] + noise * rng.standard_normal((len(identity), 16))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points @ points.T, identity


def test_planted_individuals_are_found_by_either_method():
    rng = np.random.default_rng(0)
    chosen = fit_linking(*sightings(rng, 8, 5, 0.2))
    assert [linking.method for linking in chosen] == [COMPONENTS, HDBSCAN]
    similarity, identity = sightings(rng, 12, 4, 0.2)
    for linking in chosen:
        found = agreement(linking.clusters(similarity), identity)
        assert found.ari > 0.9 and found.true == 12 and abs(found.found - 12) <= 1 and linking.ari > 0.9
    random = agreement(rng.permutation(chosen[0].clusters(similarity)), identity)
    assert abs(random.ari) < 0.1


def test_the_probability_of_one_individual_grows_with_the_similarity_and_the_cut_depends_on_validation():
    rng = np.random.default_rng(1)
    linking = fit_linking(*sightings(rng, 10, 5, 0.5))[0]
    assert linking.slope > 0 and linking.probability(np.array(1.0)) > 0.8 > 0.2 > linking.probability(np.array(-0.2))
    similarity, identity = sightings(rng, 10, 5, 0.5)
    loose = Linking(COMPONENTS, 0.001, linking.intercept, linking.slope, 0)
    assert (
        agreement(linking.clusters(similarity), identity).ari
        > agreement(loose.clusters(similarity), identity).ari + 0.2
    )


def test_images_of_a_group_stay_together_and_clusters_are_numbered_by_size():
    similarity = np.array([[1, 0.1, 0.2], [0.3, 1, 0.9], [0.2, 0.9, 1]])
    found, place = of_groups(similarity, np.array([5, 5, 9]))
    assert place.tolist() == [0, 0, 1] and found == pytest.approx(np.array([[1, 0.9], [0.9, 1]]))
    linking = Linking(COMPONENTS, 0.5, -5, 10, 0)
    pairs = np.eye(5)
    pairs[1, 3] = pairs[3, 1] = 0.8
    assert linking.clusters(pairs).tolist() == [1, 0, 2, 0, 3]
    assert fit_linking(np.ones((2, 2)), np.array([1, 1])) == []
    assert np.isnan(agreement(np.array([0]), np.array([0])).ari)
    assert Linking(HDBSCAN, 2, -5, 10, 0).clusters(np.ones((1, 1))).tolist() == [0]


def test_groups_that_cannot_be_compared_say_nothing_and_are_not_linked():
    rng = np.random.default_rng(2)
    similarity, identity = sightings(rng, 8, 5, 0.2)
    apart = rng.random(similarity.shape) < 0.1
    similarity[apart | apart.T] = -np.inf
    for linking in fit_linking(similarity, identity):
        assert linking.ari > 0.8 and linking.probability(np.array(-np.inf)) == 0
        assert len(linking.clusters(similarity)) == len(identity)
    assert fit_linking(np.full((4, 4), -np.inf), np.array([0, 0, 1, 1])) == []
