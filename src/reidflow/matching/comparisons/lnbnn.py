"""Local naive Bayes nearest neighbour: each keypoint of a query votes for the images of its nearest neighbours in the gallery."""

import numpy as np

from reidflow.matching.features import Features, Gallery, Matches, of_length_one
from reidflow.matching.neighbours import Neighbours
from reidflow.matching.verification import LEAST, inliers, versions

REACH = 5
"""Groups of neighbours of a query's keypoint that may vote for it in turn, times k."""
SPARE = 8
"""Groups of neighbours of a keypoint of the gallery that are known beyond k, as some may be excluded for a query."""


class Lnbnn:
    """The comparison of queries with a gallery as a whole. verify: pixels, see `inliers`."""

    def __init__(self, k: int, both: bool, verify: float | None) -> None:
        import faiss

        self.k, self.both, self.verify = k, both, verify
        self.versions = {"faiss": faiss.__version__, **versions(verify)}

    def over(self, gallery: Gallery) -> "Voting":
        """Return a gallery to compare queries with."""
        return Voting(self, gallery)


class Voting:
    """A gallery whose images queries vote for."""

    def __init__(self, by: Lnbnn, gallery: Gallery) -> None:
        self.by, self.gallery = by, gallery
        self.neighbours = Neighbours(gallery.descriptors, gallery.owners, gallery.groups)
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

        An image is voted for by its nearest descriptor alone. The weight is by how much this is nearer than the nearest of
        the group after the k nearest ones, or of the last group where there are no more than k; with `both`, and by how much
        the query's keypoint is nearer to it than the k-th nearest group of the gallery.
        """
        k = self.by.k
        found = self.neighbours.search(query.descriptors, max(REACH * k, k + 1) if self.by.both else k + 1, excluded)
        there = np.isfinite(found.nearest[:, : k + 1]).sum(axis=1)
        limits = found.nearest[np.arange(len(there)), np.maximum(there - 1, 0)]
        weights = np.maximum(limits[found.queries] - found.distances, 0)
        if self.by.both:
            weights += np.maximum(self._limits(found.places, excluded) - found.distances, 0)
        voting = weights > 0
        return found.queries[voting], found.places[voting], weights[voting]

    def _limits(self, places: np.ndarray, excluded: np.ndarray | None) -> np.ndarray:
        """Return how far the k-th nearest of other groups is from descriptors of the gallery, by place, (V,); 0 without one.

        What is known of a descriptor's neighbours decides, unless the query excludes too many of them, or one of a group of
        which others are not excluded: then they are searched again.
        """
        k, owners, groups = self.by.k, self.gallery.owners, self.gallery.groups
        for image in np.unique(owners[places]):
            if not self.known[image]:
                self._look_around(int(image))
        near, whose = self.near[places], self.whose[places]
        apart = np.zeros(self.gallery.count, bool) if excluded is None else excluded
        valid = (whose >= 0) & ~apart[whose]
        counted = np.cumsum(valid, axis=1)
        enough = counted[:, -1] >= k
        at = np.where(enough, (counted == k).argmax(axis=1), near.shape[1] - 1)
        partly = (whose >= 0) & ~valid & np.isin(groups[whose], groups[~apart])
        partly &= np.arange(near.shape[1]) <= at[:, None]
        limits = np.where(enough, near[np.arange(len(near)), at], 0)
        again = partly.any(axis=1) | (~enough & (whose[:, -1] >= 0))
        for image in np.unique(owners[places[again]]):
            own = np.flatnonzero(again & (owners[places] == image))
            descriptors = of_length_one(self.gallery.descriptors[places[own]])
            nearest = self.neighbours.search(descriptors, k, apart | (groups == groups[image])).nearest
            limits[own] = np.nan_to_num(nearest[:, k - 1], posinf=0.0)
        return limits

    def _look_around(self, image: int) -> None:
        """Find the neighbours of an image's descriptors in other groups; threads that do it at once find the same."""
        own = self.gallery.groups == self.gallery.groups[image]
        part = slice(*np.searchsorted(self.gallery.owners, [image, image + 1]))
        found = self.neighbours.search(of_length_one(self.gallery.descriptors[part]), self.near.shape[1], own)
        self.near[part], self.whose[part] = found.nearest, found.owners
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

    k: groups of images whose nearest neighbours of each keypoint get a vote, weighted by how much nearer they are than the
    next group: however many frames of a burst the gallery holds, they use up one. both: whether the
    gallery's keypoints vote for the query's as well, against their neighbours in the gallery: better, at several times the cost.
    verify: pixels by which a vote may miss the affine transformation of its image (MAGSAC), on the shortlist; null: no vote is
    verified.
    The sum of an image's votes is divided by the geometric mean of its number of keypoints and the query's.
    Source: McCann & Lowe 2012, arXiv:1112.0059; for animals HotSpotter, Crall et al. 2013, doi:10.1109/WACV.2013.6475023.
    Library: FAISS.
    """
    return Lnbnn(k, both, verify)
