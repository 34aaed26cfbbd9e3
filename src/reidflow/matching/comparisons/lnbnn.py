"""Local naive Bayes nearest neighbour: each keypoint of a query votes for the images of its nearest neighbours in the gallery."""

import numpy as np

from reidflow.matching.features import Features, Gallery, Matches
from reidflow.matching.neighbours import Neighbours
from reidflow.matching.verification import LEAST, inliers


class Lnbnn:
    """The comparison of queries with a gallery as a whole. verify: pixels, see `inliers`."""

    def __init__(self, k: int, verify: float | None) -> None:
        import faiss

        self.k, self.verify, self.versions = k, verify, {"faiss": faiss.__version__}

    def over(self, gallery: Gallery) -> "Voting":
        """Return a gallery to compare queries with."""
        return Voting(self, gallery)


class Voting:
    """A gallery whose images queries vote for."""

    def __init__(self, by: Lnbnn, gallery: Gallery) -> None:
        self.by, self.gallery = by, gallery
        self.neighbours = Neighbours(gallery.descriptors, gallery.owners)
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

        The weight is by how much the neighbour is nearer than the one after the k nearest.
        """
        k = self.by.k
        distances, places = self.neighbours.search(query.descriptors, k + 1, excluded)
        with np.errstate(invalid="ignore"):
            weights = np.nan_to_num(distances[:, k:] - distances[:, :k], posinf=0.0).ravel()
        voting = np.flatnonzero(weights > 0)
        return voting // k, places[:, :k].ravel()[voting], weights[voting]

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


def build(*, k: int = 5, verify: float | None = None) -> Lnbnn:
    """Return the comparison by votes of nearest neighbours.

    k: neighbours of each keypoint that get a vote, weighted by how much nearer they are than the next one. verify: pixels by
    which a vote may miss the affine transformation of its image (MAGSAC), on the shortlist; null: no vote is verified.
    The sum of an image's votes is divided by the geometric mean of its number of keypoints and the query's.
    Source: McCann & Lowe 2012, arXiv:1112.0059; for animals HotSpotter, Crall et al. 2013, doi:10.1109/WACV.2013.6475023.
    Library: FAISS.
    """
    return Lnbnn(k, verify)
