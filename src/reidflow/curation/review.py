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
_CELLS = 8_000_000  # similarities that are in memory at once

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
    space = _Space(_principal(features), labels, group)
    flank = np.unique(images["flank"].fill_null("").to_numpy(), return_inverse=True)[1]
    flank = np.where(images["flank"].is_null().to_numpy(), -1, flank)
    doubt, rival = _doubts(space)
    names, done = images["image"].to_list(), set(answered)
    chosen = np.array([row for row in np.argsort(-doubt, kind="stable") if names[row] not in done][:most], int)
    compared = _compared(space, chosen, doubt, rival, flank)
    rows: list[tuple] = []
    later: list[tuple[int, list[tuple]]] = []
    for row, found in zip(chosen, compared, strict=True):
        others = [other for other in found if other >= 0]
        pairs = [(names[row], names[other], identity[row], identity[other], doubt[row]) for other in others]
        rows.append((None, *pairs[0]))
        later.append((len(rows) - 1, pairs[1:]))
    for after, pairs in later:
        for pair in pairs:
            rows.append((after, *pair))
            after = len(rows) - 1
    numbered = [(number, *pair) for number, pair in enumerate(rows)]
    return pl.DataFrame(numbered, schema=REVIEW.columns, orient="row")


def _doubts(space: "_Space") -> tuple[np.ndarray, np.ndarray]:
    """Return for R images the doubt of the label, and the code of the other identity that most resembles the image.

    doubt: mean similarity of the nearest images of that identity less that of the own one's. An image's own group is no
    evidence on its label. Time grows with R^2, memory with R.
    """
    labels = space.labels
    count = len(labels)
    members = _members(labels)
    own, best, rival = np.full(count, np.nan), np.full(count, -np.inf), np.full(count, -1)
    for rows, similar in space.similarities(np.arange(count)):
        for label, columns in enumerate(members):
            means = _mean_of_nearest(similar[:, columns])
            mine = labels[rows] == label
            own[rows[mine]] = means[mine]
            better = ~mine & (means > best[rows])
            best[rows[better]], rival[rows[better]] = means[better], label
    # Without another image of its identity, one is as doubtful as it is more like others than is usual within identities.
    usual = np.nanmedian(own) if np.isfinite(own).any() else 1.0
    return np.where(rival >= 0, best - np.where(np.isnan(own), usual, own), -np.inf), rival


def _compared(
    space: "_Space", chosen: np.ndarray, doubt: np.ndarray, rival: np.ndarray, flank: np.ndarray
) -> np.ndarray:
    """Return (q, 3) the rows to compare q images with: of the own identity, of the rival, once more of the own; -1: none.

    They are the most similar ones among the less doubtful half of an identity and of the same flank, where there are any.
    """
    labels = space.labels
    trusted = np.zeros(len(labels), bool)
    for columns in _members(labels):
        trusted[columns[np.argsort(doubt[columns], kind="stable")[: (len(columns) + 1) // 2]]] = True
    found = np.full((len(labels), 3), -1)
    for rows, similar in space.similarities(chosen):
        flanks = (flank == flank[rows, None]) & (flank >= 0)
        own = labels == labels[rows, None]
        found[rows, 0] = _reference(similar, own, trusted, flanks)
        found[rows, 1] = _reference(similar, labels == rival[rows, None], trusted, flanks)
        found[rows, 2] = _reference(similar, own & (np.arange(len(labels)) != found[rows, 0, None]), trusted, flanks)
    return found[chosen]


def _members(labels: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each label."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.cumsum(np.bincount(labels))[:-1])


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
    rank = wanted * (1 + 2 * trusted.astype(np.int8) + flanks)
    best = rank.max(axis=1)
    found = np.where(rank == best[:, None], similar, -np.inf).argmax(axis=1)
    return np.where(best > 0, found, -1)


@dataclass(frozen=True)
class _Space:
    """Images by their principal components (R, C), with the codes (R,) of their labels and groups."""

    points: np.ndarray
    labels: np.ndarray
    group: np.ndarray

    def similarities(self, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows (q,) among those wanted with their cosines (q, R) to all images, -inf within their groups.

        The cosines are those of whitened principal components: of linear discriminant analysis, which for each part of the
        groups is estimated on the others, so that no image is near others because its own wrong label said so.
        """
        fold = np.random.default_rng(0).permutation(int(self.group.max()) + 1)[self.group] % FOLDS
        size = max(16, _CELLS // len(self.labels))
        for part in range(FOLDS):
            inside = wanted[fold[wanted] == part]
            vectors = _whitened(self.points, self.labels, fold != part)
            for start in range(0, len(inside), size):
                rows = inside[start : start + size]
                similar = vectors[rows] @ vectors.T
                similar[self.group[rows, None] == self.group] = -np.inf
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
