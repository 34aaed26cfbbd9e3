import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from reidflow.evaluation.metrics import cluster_agreement, normalised_mutual_information


@pytest.mark.parametrize("seed", range(5))
def test_mutual_information_is_that_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    one, other = random.integers(0, 5, 200), random.integers(0, 7, 200)
    other[:100] = one[:100] * 3
    assert normalised_mutual_information(one, other) == pytest.approx(
        normalized_mutual_info_score(one, other), abs=1e-12
    )


def test_constant_labellings_agree():
    assert normalised_mutual_information(np.zeros(4), np.ones(4)) == 1.0


def test_agreement_is_near_that_of_scikit_learns_k_means():
    random = np.random.default_rng(0)
    identity = np.repeat(np.arange(8), 20)
    vectors = random.normal(size=(8, 16))[identity] + 0.4 * random.normal(size=(160, 16))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    theirs = normalized_mutual_info_score(identity, KMeans(8, n_init=4, random_state=0).fit(unit).labels_)
    assert cluster_agreement(vectors, identity, 0) == pytest.approx(theirs, abs=0.08)
    assert cluster_agreement(vectors, identity, 0) == cluster_agreement(vectors, identity, 0)


def test_fewer_distinct_vectors_than_identities_are_no_error():
    assert cluster_agreement(np.ones((6, 3)), np.arange(6) // 2, 0) == 0.0
