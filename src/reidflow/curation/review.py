"""Pairs of images that a person should compare: those whose answer says most about a label that may be wrong."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from reidflow.store.tables import Contract

MOST = 200
"""Images whose labels are questioned, at most: as many pairs as a person answers in twenty minutes."""
FOLDS, COMPONENTS, SHRINKAGE = 5, 300, 0.1
"""Of the metric: parts of the images that are left out in turn, principal components, and the share of the mean variance
in the covariance within identities."""
NEIGHBOURS = 5
_BLOCK = 1024

REVIEW = Contract(
    "pairs to review",
    {
        "pair": pl.Int64,
        "after": pl.Int64,
        "image": pl.String,
        "other": pl.String,
        "label": pl.String,
        "other_label": pl.String,
        "doubt": pl.Float64,
    },
    nullable=frozenset({"after"}),
)
"""One row per pair, numbered from 0 in the order in which they are shown. `image`: the one whose label is in question; `after`:
the pair whose answer `different` leads to this one; null: it is shown in any case. `doubt`: of the label of `image`."""


@dataclass(frozen=True)
class Doubts:
    """What the neighbours of R images say of their labels, from similarities that no own label entered.

    doubt: (R,) mean similarity of the nearest images of the best other identity less that of the own one. rival: (R,) code
    of that identity. own, other, second: (R,) row of the image of the own identity, of the rival, and of the own one once
    more, to compare with; -1: none.
    """

    doubt: np.ndarray
    rival: np.ndarray
    own: np.ndarray
    other: np.ndarray
    second: np.ndarray


def pairs_to_review(
    images: pl.DataFrame, features: np.ndarray, *, answered: Collection[str] = (), most: int = MOST
) -> pl.DataFrame:
    """Return REVIEW: a pair of each doubtful image with its own identity, then what the answer `different` leads to.

    images: R labelled images with image, identity, group and flank (null: unknown). features: (R, D), rows of zeros or of
    numbers that are not finite being unknown. answered: images that need no further answer. The most doubtful image comes
    first. What follows `different` is a pair with the identity that the image resembles, and after another `different` one with
    a second image of its own identity, as the first one's label may be wrong. An image whose identity has none in another
    group is compared with the one that it resembles alone.
    """
    known = np.isfinite(features).all(axis=1) & (features != 0).any(axis=1)
    images, features = images.filter(pl.Series(known)), features[known]
    identity = images["identity"].to_numpy()
    codes, labels = np.unique(identity, return_inverse=True)
    if len(codes) < 2:
        return REVIEW.empty()
    group = np.unique(images["group"].to_numpy(), return_inverse=True)[1]
    flank = np.unique(images["flank"].fill_null("").to_numpy(), return_inverse=True)[1]
    flank = np.where(images["flank"].is_null().to_numpy(), -1, flank)
    found = doubts(features, labels, group, flank)
    names, done = images["image"].to_list(), set(answered)
    rows: list[tuple] = []
    later: list[tuple[int, list[tuple]]] = []
    for row in [row for row in np.argsort(-found.doubt, kind="stable") if names[row] not in done][:most]:
        first, *others = [other for other in (found.own[row], found.other[row], found.second[row]) if other >= 0]
        pairs = [
            (names[row], names[other], identity[row], identity[other], found.doubt[row]) for other in (first, *others)
        ]
        rows.append((None, *pairs[0]))
        later.append((len(rows) - 1, pairs[1:]))
    for after, pairs in later:
        for pair in pairs:
            rows.append((after, *pair))
            after = len(rows) - 1
    numbered = [(number, *pair) for number, pair in enumerate(rows)]
    return pl.DataFrame(numbered, schema=REVIEW.columns, orient="row")


def doubts(features: np.ndarray, labels: np.ndarray, group: np.ndarray, flank: np.ndarray) -> Doubts:
    """Return what the neighbours of images say of their labels.

    features: (R, D). labels, group, flank: (R,) integer codes, -1 for an unknown flank. An image's own group is no evidence
    on its label. Those with which it is compared are the most similar ones of an identity, among the less doubtful half of
    it and of the same flank where there are any. Time grows with R^2, memory with R.
    """
    count, classes = len(labels), int(labels.max()) + 1
    members = [np.flatnonzero(labels == label) for label in range(classes)]
    own, best = np.full(count, np.nan), np.full(count, -np.inf)
    rival = np.full(count, -1)
    for rows, similar in _similarities(features, labels, group):
        for label, columns in enumerate(members):
            means = _mean_of_nearest(similar[:, columns])
            mine = labels[rows] == label
            own[rows[mine]] = means[mine]
            better = ~mine & (means > best[rows])
            best[rows[better]], rival[rows[better]] = means[better], label
    # Without another image of its identity, one is as doubtful as it is more like others than is usual within identities.
    usual = np.nanmedian(own) if np.isfinite(own).any() else 1.0
    doubt = np.where(rival >= 0, best - np.where(np.isnan(own), usual, own), -np.inf)
    trusted = np.zeros(count, bool)
    for columns in members:
        trusted[columns[np.argsort(doubt[columns], kind="stable")[: (len(columns) + 1) // 2]]] = True
    compared = np.full((3, count), -1)
    for rows, similar in _similarities(features, labels, group):
        flanks = (flank == flank[rows, None]) & (flank >= 0)
        own_images, others = labels == labels[rows, None], labels == rival[rows, None]
        compared[0, rows] = _reference(similar, own_images, trusted, flanks)
        compared[1, rows] = _reference(similar, others, trusted, flanks)
        own_images &= np.arange(count) != compared[0, rows, None]
        compared[2, rows] = _reference(similar, own_images, trusted, flanks)
    return Doubts(doubt, rival, *compared)


def _mean_of_nearest(similar: np.ndarray) -> np.ndarray:
    """Return (q,) means of the NEIGHBOURS greatest similarities (q, m), NaN where there is none; -inf is none."""
    take = min(NEIGHBOURS, similar.shape[1])
    nearest = -np.partition(-similar, take - 1, axis=1)[:, :take]
    finite = np.isfinite(nearest)
    counts = finite.sum(axis=1)
    return np.where(counts > 0, np.where(finite, nearest, 0).sum(axis=1) / np.maximum(counts, 1), np.nan)


def _reference(similar: np.ndarray, wanted: np.ndarray, trusted: np.ndarray, flanks: np.ndarray) -> np.ndarray:
    """Return (q,) the column of the most similar wanted image of the kind that is there first; -1 without a wanted one."""
    wanted = wanted & np.isfinite(similar)
    # A wrong label among the images compared with costs more than another flank.
    rank = wanted * (1 + 2 * trusted + flanks)
    best = rank.max(axis=1)
    found = np.where(rank == best[:, None], similar, -np.inf).argmax(axis=1)
    return np.where(best > 0, found, -1)


def _similarities(
    features: np.ndarray, labels: np.ndarray, group: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows (q,) with their cosines (q, R) to all images, -inf within their groups.

    The cosines are those of whitened principal components: of linear discriminant analysis, which for each part of the
    groups is estimated on the others, so that no image is near others because its own wrong label said so.
    """
    points = _principal(features)
    order = np.random.default_rng(0).permutation(int(group.max()) + 1)
    fold = order[group] % FOLDS
    for part in range(FOLDS):
        inside = np.flatnonzero(fold == part)
        vectors = _whitened(points, labels, fold != part)
        for start in range(0, len(inside), _BLOCK):
            rows = inside[start : start + _BLOCK]
            similar = vectors[rows] @ vectors.T
            similar[group[rows, None] == group] = -np.inf
            yield rows, similar


def _principal(features: np.ndarray) -> np.ndarray:
    """Return the first principal components (R, C) of the features, of unit length."""
    vectors = np.asarray(features, np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors -= vectors.mean(axis=0)
    values, axes = np.linalg.eigh(vectors.T @ vectors / len(vectors))
    kept = [n for n in range(len(values))[::-1] if values[n] > 1e-9 * max(values[-1], 1e-300)][:COMPONENTS]
    return vectors @ axes[:, kept]


def _whitened(points: np.ndarray, labels: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return unit vectors (R, C) in which the images of an identity spread alike in all directions.

    used: (R,) bool, by which images the covariance within identities is estimated.
    """
    own, counts = points[used], np.bincount(labels[used])
    sums = np.zeros((len(counts), points.shape[1]))
    np.add.at(sums, labels[used], own)
    apart = own - (sums / np.maximum(counts, 1)[:, None])[labels[used]]
    within = apart.T @ apart / max(1, len(own))
    mean = np.trace(within) / len(within)
    if mean <= 0:
        return _unit(points)
    within = (1 - SHRINKAGE) * within + SHRINKAGE * mean * np.eye(len(within))
    return _unit(points @ np.linalg.cholesky(np.linalg.inv(within)))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def shown(pairs: pl.DataFrame) -> Sequence[str]:
    """Return the images of the pairs, each once, sorted."""
    return sorted({*pairs["image"], *pairs["other"]})
