"""Suspected individuals: queries that were called new, put together by how probably they show the same animal.

The probability that two groups (sightings) show one individual, and where to cut it, are chosen on the new individuals
of validation. Images of one group stay together, and agreement with the truth is measured over groups, so that no burst
makes it easy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from reidflow.dedup.components import components
from reidflow.evaluation.open_set import logistic

COMPONENTS, HDBSCAN = "connected components", "HDBSCAN"
CUTS = tuple(round(0.05 * step, 2) for step in range(1, 20))
NEIGHBOURS = (1, 2, 3)


class Agreement(NamedTuple):
    """How well clusters agree with the truth: adjusted Rand index, normalised mutual information,
    individuals found and true.
    """

    ari: float
    nmi: float
    found: int
    true: int


@dataclass(frozen=True)
class Linking:
    """How suspected individuals are made. intercept, slope: log odds, by the similarity, that two groups show one
    individual.

    method, parameter: COMPONENTS with the probability from which groups are linked; HDBSCAN with its `min_samples`.
    ari: on validation.
    """

    method: str
    parameter: float
    intercept: float
    slope: float
    ari: float

    def probability(self, similarity: np.ndarray) -> np.ndarray:
        """Return the probability that groups of this similarity show one individual; 0 where it is no finite number."""
        known = np.isfinite(similarity)
        odds = self.intercept + self.slope * np.where(known, similarity, 0.0)
        return np.where(known, 1 / (1 + np.exp(-np.clip(odds, -500, 500))), 0.0)

    def clusters(self, similarity: np.ndarray) -> np.ndarray:
        """Return the cluster (n,) of each group from their similarities (n, n), from 0;
        the cluster of most groups first.
        """
        return _numbered(_METHODS[self.method](self.probability(similarity), self.parameter))


def of_groups(similarity: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarities (n, n) of groups, the largest of their images', and the place (images,) of each image's
    group.

    similarity: (images, images), made symmetric by the mean of both directions. group: codes of the images.
    """
    both = (similarity + similarity.T) / 2
    _, place = np.unique(group, return_inverse=True)
    count = place.max(initial=-1) + 1
    found = np.full((count, count), -np.inf)
    np.maximum.at(found, (place[:, None], place[None]), both)
    return found, place


def fit_linking(similarity: np.ndarray, identity: np.ndarray) -> list[Linking]:
    """Return for each method the linking whose clusters agree best with the truth; none where there is nothing to
    choose by.

    similarity: (n, n) of groups of new individuals of validation; minus infinity where two cannot be compared, which
    says nothing.
    identity: (n,) codes. Of equals the one that links less.
    """
    one, other = np.triu_indices(len(identity), 1)
    known = np.isfinite(similarity[one, other])
    one, other = one[known], other[known]
    same = (identity[one] == identity[other]).astype(float)
    if len(set(same.tolist())) < 2:
        return []
    intercept, slope = logistic(similarity[one, other], same)
    found = []
    for method, parameters in ((COMPONENTS, CUTS[::-1]), (HDBSCAN, NEIGHBOURS)):
        tried = []
        for parameter in parameters:
            linking = Linking(method, parameter, intercept, max(slope, 0.0), float("nan"))
            value = agreement(linking.clusters(similarity), identity).ari
            tried.append(Linking(method, parameter, intercept, max(slope, 0.0), value))
        found.append(max(tried, key=lambda linking: round(linking.ari, 12)))
    return found


def agreement(clusters: np.ndarray, identity: np.ndarray) -> Agreement:
    """Return how well clusters (n,) agree with identities (n,); NaN without two groups."""
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    counts = len(np.unique(clusters)), len(np.unique(identity))
    if len(identity) < 2:
        return Agreement(float("nan"), float("nan"), *counts)
    ari, nmi = (score(identity, clusters) for score in (adjusted_rand_score, normalized_mutual_info_score))
    return Agreement(float(ari), float(nmi), *counts)


def _components(probability: np.ndarray, cut: float) -> np.ndarray:
    pairs = np.argwhere(np.triu(probability >= cut, 1))
    return components(len(probability), pairs.astype(np.int64).reshape(-1, 2))


def _hdbscan(probability: np.ndarray, neighbours: float) -> np.ndarray:
    from sklearn import cluster

    if len(probability) < 2:
        return np.zeros(len(probability), int)
    distance = 1 - probability
    np.fill_diagonal(distance, 0.0)
    model = cluster.HDBSCAN(
        min_cluster_size=2, min_samples=min(int(neighbours), len(probability)), metric="precomputed", copy=True
    )
    labels = model.fit(distance).labels_
    # What is noise to it is an individual of its own.
    alone = np.flatnonzero(labels < 0)
    labels[alone] = labels.max(initial=-1) + 1 + np.arange(len(alone))
    return labels


_METHODS: dict[str, Callable[[np.ndarray, Any], np.ndarray]] = {COMPONENTS: _components, HDBSCAN: _hdbscan}


def _numbered(labels: np.ndarray) -> np.ndarray:
    """Return clusters numbered from 0, the largest first, equals in the order of their first member."""
    _, first, place, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = sorted(range(len(counts)), key=lambda cluster: (-counts[cluster], first[cluster]))
    number = np.empty(len(counts), int)
    number[order] = np.arange(len(counts))
    return number[place]
