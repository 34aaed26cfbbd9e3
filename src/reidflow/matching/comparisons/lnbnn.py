"""Local naive Bayes nearest neighbour: each keypoint of a query votes for the images of its nearest neighbours in the gallery."""

import numpy as np

from reidflow.matching.features import Features, Gallery, Matches, of_length_one
from reidflow.matching.neighbours import Neighbours
from reidflow.matching.verification import LEAST, inliers

REACH = 5
"""Neighbours of a query's keypoint that may vote for it in turn, times k."""
SPARE = 8
"""Neighbours of a keypoint of the gallery that are known beyond k, as some may be excluded for a query."""


class Lnbnn:
    """The comparison of queries with a gallery as a whole. verify: pixels, see `inliers`."""

    def __init__(self, k: int, both: bool, verify: float | None) -> None:
        import faiss

        self.k, self.both, self.verify, self.versions = k, both, verify, {"faiss": faiss.__version__}

    def over(self, gallery: Gallery) -> "Voting":
        """Return a gallery to compare queries with."""
        return Voting(self, gallery)


class Voting:
    """A gallery whose images queries vote for."""

    def __init__(self, by: Lnbnn, gallery: Gallery) -> None:
        self.by, self.gallery = by, gallery
        self.neighbours = Neighbours(gallery.descriptors, gallery.owners)
        if by.both:
            shape = len(gallery.owners), by.k + SPARE
            self.near, self.whose = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
            self.known = np.zeros(gallery.count, bool)
        self.sizes = np.maximum(np.bincount(gallery.owners, minlength=gallery.count), 1)

    def scores(self, query: Features, excluded: np.ndarray | None, listed: np.ndarray | None) -> np.ndarray:
        """Return the score of a query with each image of the gallery, float32 (G,); of excluded ones NaN.

        listed: the images of its shortlist, bool (G,), whose votes are verified; None: all.
        """
        points, places, weights = self.votes(query, excluded)
        owners = self.gallery.owners[places]
        if self.by.verify is not None:
            kept = self._verified(query.points[points], places, owners, listed)
            owners, weights = owners[kept], weights[kept]
        votes = np.bincount(owners, weights, minlength=self.gallery.count)
        found = (votes * self._scale(query)).astype(np.float32)
        if excluded is not None:
            found[excluded] = np.nan
        return found

    def matches(self, query: Features, image: int, excluded: np.ndarray | None) -> Matches:
        """Return the votes of a query for an image, by its place in the gallery: keypoints of both, and weights.

        excluded: images that are no neighbours, bool (G,).
        """
        points, places, weights = self.votes(query, excluded)
        own = np.flatnonzero(self.gallery.owners[places] == image)
        points, places, weights = points[own], places[own], weights[own]
        if self.by.verify is not None:
            kept = inliers(query.points[points], self.gallery.points[places], self.by.verify)
            points, places, weights = points[kept], places[kept], weights[kept]
        return Matches(
            points, places - np.searchsorted(self.gallery.owners, image), weights * self._scale(query)[image]
        )

    def _scale(self, query: Features) -> np.ndarray:
        """Return (G,) what the votes for each image are multiplied by: more keypoints get more votes by chance."""
        return 1 / np.sqrt(max(len(query.descriptors), 1) * self.sizes)

    def votes(self, query: Features, excluded: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return each vote: the query's keypoint, the neighbour's place in the gallery, and the weight, (V,) each.

        The weight is by how much the neighbour is nearer than the one after the k nearest; with `both`, and by how much the
        query's keypoint is nearer to it than the k-th nearest in the gallery.
        """
        k = self.by.k
        reach = REACH * k if self.by.both else k
        distances, places = self.neighbours.search(query.descriptors, max(reach, k + 1), excluded)
        with np.errstate(invalid="ignore"):
            gained = np.where(np.isfinite(distances[:, [k]]), distances[:, [k]] - distances[:, :k], 0)
        weights = np.zeros((len(distances), reach), np.float32)
        weights[:, :k] = gained
        distances, places = distances[:, :reach], places[:, :reach]
        if self.by.both:
            there = np.isfinite(distances)
            weights[there] += np.maximum(self._limits(places[there], excluded) - distances[there], 0)
        voting = np.flatnonzero(weights > 0)
        return voting // reach, places.ravel()[voting], weights.ravel()[voting]

    def _limits(self, places: np.ndarray, excluded: np.ndarray | None) -> np.ndarray:
        """Return how far the k-th nearest of other images is from descriptors of the gallery, by place, (V,)."""
        for image in np.unique(self.gallery.owners[places]):
            if not self.known[image]:
                self._look_around(int(image))
        near, whose = self.near[places], self.whose[places]
        valid = whose >= 0
        if excluded is not None:
            valid &= ~excluded[whose]
        counted = np.cumsum(valid, axis=1)
        at = np.where(counted[:, -1] >= self.by.k, (counted == self.by.k).argmax(axis=1), near.shape[1] - 1)
        return np.nan_to_num(near[np.arange(len(near)), at], posinf=0.0)

    def _look_around(self, image: int) -> None:
        """Find the neighbours of an image's descriptors in other images; threads that do it at once find the same."""
        own = np.arange(self.gallery.count) == image
        part = slice(*np.searchsorted(self.gallery.owners, [image, image + 1]))
        distances, places = self.neighbours.search(
            of_length_one(self.gallery.descriptors[part]), self.near.shape[1], own
        )
        self.near[part] = distances
        self.whose[part] = np.where(np.isfinite(distances), self.gallery.owners[places], -1)
        self.known[image] = True

    def _verified(
        self, points: np.ndarray, places: np.ndarray, owners: np.ndarray, listed: np.ndarray | None
    ) -> np.ndarray:
        """Return which votes fit the transformation between the query and their image, bool (V,)."""
        kept = np.zeros(len(places), bool)
        counts = np.bincount(owners, minlength=self.gallery.count)
        for image in np.flatnonzero((counts >= LEAST) & (True if listed is None else listed)):
            own = np.flatnonzero(owners == image)
            kept[own] = inliers(points[own], self.gallery.points[places[own]], self.by.verify)
        return kept


def build(*, k: int = 5, both: bool = False, verify: float | None = None) -> Lnbnn:
    """Return the comparison by votes of nearest neighbours.

    k: neighbours of each keypoint that get a vote, weighted by how much nearer they are than the next one. both: whether the
    gallery's keypoints vote for the query's as well, against their neighbours in the gallery: better, at several times the cost.
    verify: pixels by which a vote may miss the affine transformation of its image (MAGSAC), on the shortlist; null: no vote is
    verified.
    The sum of an image's votes is divided by the geometric mean of its number of keypoints and the query's.
    Source: McCann & Lowe 2012, arXiv:1112.0059; for animals HotSpotter, Crall et al. 2013, doi:10.1109/WACV.2013.6475023.
    Library: FAISS.
    """
    return Lnbnn(k, both, verify)
