"""Local naive Bayes nearest neighbour: each keypoint of a query votes for the images of its nearest neighbours in the gallery."""

import numpy as np

from reidflow.matching.neighbours import Neighbours


class Voting:
    """A gallery to compare queries with. descriptors: (T, D) of all its images; owners: the image of each, (T,) of `count`."""

    def __init__(self, descriptors: np.ndarray, owners: np.ndarray, count: int, k: int) -> None:
        self.neighbours, self.count, self.k = Neighbours(descriptors, owners), count, k

    def scores(self, query: np.ndarray, excluded: np.ndarray | None) -> np.ndarray:
        """Return the score of a query, descriptors (K, D), with each image of the gallery, float32; of excluded ones NaN."""
        _, owners, weights = self.votes(query, excluded)
        found = np.bincount(owners, weights, minlength=self.count).astype(np.float32)
        if excluded is not None:
            found[excluded] = np.nan
        return found

    def votes(self, query: np.ndarray, excluded: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return each vote: the neighbour's place among the descriptors, its image, and the weight; (K * k,) each.

        The weight is by how much the neighbour is nearer than the one after the k nearest.
        """
        distances, places = self.neighbours.search(query, self.k + 1, excluded)
        last = np.where(np.isfinite(distances[:, -1:]), distances[:, -1:], np.nan)
        weights = np.nan_to_num(np.maximum(last - distances[:, : self.k], 0))
        places = places[:, : self.k].ravel()
        return places, self.neighbours.owners[places], weights.ravel()


class Lnbnn:
    """The comparison, of queries with a gallery as a whole."""

    def __init__(self, k: int) -> None:
        self.k = k

    def over(self, descriptors: np.ndarray, owners: np.ndarray, count: int) -> Voting:
        """Return a gallery to compare queries with: see `Voting`."""
        return Voting(descriptors, owners, count, self.k)


def build(*, k: int = 5) -> Lnbnn:
    """Return the comparison by votes of nearest neighbours.

    k: neighbours of each keypoint that get a vote, weighted by how much nearer they are than the next one.
    Source: McCann & Lowe 2012, arXiv:1112.0059; for animals HotSpotter, Crall et al. 2013, doi:10.1109/WACV.2013.6475023.
    Library: FAISS.
    """
    return Lnbnn(k)
