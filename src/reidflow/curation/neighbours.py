"""Scores from the neighbourhood of each training image in a frozen embedding."""

from dataclasses import dataclass

import numpy as np

from reidflow.curation.similarity import STEPS, block_rows, exact, steps


@dataclass(frozen=True)
class Neighbourhood:
    """Scores (R,) float64, NaN where undefined; see `neighbourhood`."""

    uniqueness: np.ndarray
    representativeness: np.ndarray
    label_doubt: np.ndarray


def neighbourhood(features: np.ndarray, identity: np.ndarray, group: np.ndarray) -> Neighbourhood:
    """Score each image by its neighbours among the others.

    uniqueness: 1 - cosine to the nearest image of the same identity; NaN for the only one.
    representativeness: mean over the other images of max(0, cosine), what facility location gains from this one alone.
    label_doubt: how likely images of the identity, were they placed at random, would come as near as the nearest one
    does: 1 - (1 - q)^m, with m images of the identity outside the own group and q the share of other identities' images
    that are nearer (those tied count half). 0: the nearest neighbour agrees; 1/2: the neighbours agree no more than by
    chance. NaN where the identity has no image outside the group.

    features: (R, D) of the training images. identity, group: (R,) integer codes; images of one group show the same
    moment, hence say little about each other's labels. Time grows with R^2, memory with R.
    """
    vectors = exact(features)
    scores = Neighbourhood(*(np.full(len(vectors), np.nan) for _ in range(3)))
    size = block_rows(len(vectors))
    for start in range(0, len(vectors), size):
        rows = np.arange(start, min(start + size, len(vectors)))
        similar = steps(vectors[rows] @ vectors.T)
        others = np.ones(similar.shape, bool)
        others[np.arange(len(rows)), rows] = False
        same = (identity[rows, None] == identity) & others
        scores.uniqueness[rows] = _uniqueness(similar, same)
        served = np.maximum(similar, 0).sum(axis=1, where=others, dtype=np.int64)
        scores.representativeness[rows] = served / STEPS / max(1, len(vectors) - 1)
        outside = others & (group[rows, None] != group)
        scores.label_doubt[rows] = _label_doubt(similar, same & outside, outside)
    return scores


def _uniqueness(similar: np.ndarray, same: np.ndarray) -> np.ndarray:
    nearest = np.where(same, similar, np.iinfo(np.int32).min).max(axis=1)
    return np.where(same.any(axis=1), 1 - nearest / STEPS, np.nan)


def _label_doubt(similar: np.ndarray, same: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Return (q,) doubts; `same`, `outside`: (q, R) which images share the identity, and which have an opinion."""
    nearest = np.where(same, similar, np.iinfo(np.int32).min).max(axis=1, keepdims=True)
    different = outside & ~same
    nearer = (different & (similar > nearest)).sum(axis=1) + (different & (similar == nearest)).sum(axis=1) / 2
    share = nearer / np.maximum(1, different.sum(axis=1))
    alike = same.sum(axis=1)
    return np.where(alike > 0, 1 - (1 - share) ** alike, np.nan)
