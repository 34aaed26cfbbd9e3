import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from reidflow.evaluation import metrics
from reidflow.evaluation.metrics import cluster_agreement


def mutual_information(one, other):
    """Return the NMI of two labellings from its definition: twice the shared entropy over the sum of both."""
    joint = np.array([[np.mean((one == a) & (other == b)) for b in np.unique(other)] for a in np.unique(one)])

    def entropy(shares):
        return -sum(share * np.log(share) for share in shares.ravel() if share > 0)

    own = entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1))
    return 2 * (own - entropy(joint)) / own


@pytest.mark.parametrize("seed", range(3))
def test_agreement_is_the_mutual_information_of_identities_and_clusters(seed, monkeypatch):
    random = np.random.default_rng(seed)
    identity, labels = random.integers(0, 5, 120), random.integers(0, 5, 120)
    labels[:60] = identity[:60]
    monkeypatch.setattr(metrics, "_clusters", lambda vectors, count, seed: labels)
    found = cluster_agreement(random.normal(size=(120, 3)), identity, 0)
    assert found == pytest.approx(mutual_information(identity, labels), abs=1e-12) and 0.05 < found < 0.95


def test_constant_labellings_agree():
    assert cluster_agreement(np.ones((4, 3)), np.zeros(4, int), 0) == 1.0


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


def test_of_many_vectors_all_those_of_some_identities_are_clustered(monkeypatch):
    random = np.random.default_rng(0)
    identity = np.repeat(np.arange(40), 5)[random.permutation(200)]
    vectors = random.normal(size=(40, 8))[identity] + random.normal(size=(200, 8))
    whole = cluster_agreement(vectors, identity, 0)
    monkeypatch.setattr(metrics, "CLUSTERED", 60)
    rows = metrics._of_some_identities(identity, 0)
    assert len(rows) == 60 and (np.bincount(identity[rows])[np.unique(identity[rows])] == 5).all()
    sampled = cluster_agreement(vectors, identity, 0)
    assert sampled == cluster_agreement(vectors[rows], identity[rows], 0) != whole
    assert cluster_agreement(vectors, identity, 0) == sampled
    assert metrics._of_some_identities(identity, 1).tolist() != rows.tolist()
    monkeypatch.setattr(metrics, "CLUSTERED", 1)
    assert len(np.unique(identity[metrics._of_some_identities(identity, 0)])) == 2
