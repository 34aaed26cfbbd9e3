"""Average precision with ties, and its identity-balanced mean: the metric that chooses checkpoints."""

from functools import lru_cache

import numpy as np

from reidflow.evaluation.ranking import Similarity, TieGroups, similarity_blocks, tie_groups


def average_precisions(
    query_vectors: np.ndarray,
    gallery_vectors: np.ndarray,
    query_identity: np.ndarray,
    gallery_identity: np.ndarray,
    *,
    query_index: np.ndarray | None = None,
    query_group: np.ndarray | None = None,
    gallery_group: np.ndarray | None = None,
    similarity: Similarity | None = None,
    block: int | None = None,
) -> np.ndarray:
    """Return the (Q,) float64 average precision of each query, NaN where it has no positive.

    The gallery is ranked by similarity; the value is the expectation over all orders of tied candidates (McSherry and
    Najork 2008), so the order of the images cannot matter. Similarities that agree to 1.2e-7 are tied (see
    `ranking.similarity_blocks`). Vectors that are not finite rank last, all tied.

    Args:
        query_vectors: (Q, D).
        gallery_vectors: (G, D).
        query_identity: (Q,) integer codes.
        gallery_identity: (G,) integer codes; the same code is a positive.
        query_index: (Q,) position of each query in the gallery, -1 if nowhere; it is never its own candidate.
            None if no query is in the gallery.
        query_group: (Q,) integer codes; candidates of the query's own group are left out. None leaves none out.
        gallery_group: (G,) integer codes, given with `query_group`.
        similarity: maps (q, D), (G, D) to (q, G), in float64; None is the cosine.
        block: queries at a time; None bounds the memory. The result does not depend on it.
    """
    masks = Masks(query_identity, gallery_identity, query_index, query_group, gallery_group)
    values = np.empty(len(query_vectors))
    for rows, steps in similarity_blocks(query_vectors, gallery_vectors, similarity, block):
        values[rows] = expected_average_precision(tie_groups(steps, masks.positive(rows), masks.excluded(rows)))
    return values


def identity_balanced(values: np.ndarray, identity: np.ndarray) -> float:
    """Return the mean over identities of the mean of `values` (Q,) within each; NaN queries are skipped.

    NaN if nothing is left.
    """
    scored = ~np.isnan(values)
    if not scored.any():
        return float("nan")
    _, codes = np.unique(np.asarray(identity)[scored], return_inverse=True)
    return float((np.bincount(codes, weights=values[scored]) / np.bincount(codes)).mean())


class Masks:
    """Which candidates are positives of a query and which are none of its candidates, for blocks of queries."""

    def __init__(
        self,
        query_identity: np.ndarray,
        gallery_identity: np.ndarray,
        query_index: np.ndarray | None = None,
        query_group: np.ndarray | None = None,
        gallery_group: np.ndarray | None = None,
    ) -> None:
        if (query_group is None) != (gallery_group is None):
            raise ValueError("query_group and gallery_group come together")
        self.identities = _compact(query_identity, gallery_identity)
        self.index = None if query_index is None else np.asarray(query_index)
        self.groups = None if query_group is None else _compact(query_group, gallery_group)

    def positive(self, rows: slice) -> np.ndarray:
        """Return (q, G): same identity, the query itself and its group included."""
        return self.identities[0][rows, None] == self.identities[1]

    def excluded(self, rows: slice, groups: bool = True) -> np.ndarray | None:
        """Return (q, G): the query itself and, if `groups`, its own group; None if nothing is excluded."""
        mask = None
        if groups and self.groups is not None:
            mask = self.groups[0][rows, None] == self.groups[1]
        if self.index is not None:
            index = self.index[rows]
            inside = np.flatnonzero(index >= 0)
            if mask is None:
                mask = np.zeros((len(index), len(self.identities[1])), dtype=bool)
            mask[inside, index[inside]] = True
        return mask


def expected_precision_sum(groups: TieGroups, depth: np.ndarray | None = None) -> np.ndarray:
    """Return (T,): expected sum of the precisions at the positives of each group of tied candidates.

    With m candidates (h positives) above, n tied and r positives among them, place i of the group holds a positive with
    probability r / n, and then the precision there is (h + 1 + (i - 1)(r - 1)/(n - 1)) / (m + i); the sum over i has a
    closed form in harmonic numbers. `depth` (T,) cuts the sum after so many places of each group; None takes all.
    """
    places = groups.tied if depth is None else np.minimum(groups.tied, np.maximum(depth, 0))
    slope = (groups.hits - 1) / np.maximum(groups.tied - 1, 1)
    harmonic = _harmonic(int((groups.above + groups.tied).max(initial=0)).bit_length())
    spread = harmonic[groups.above + places] - harmonic[groups.above]
    tied = slope * places + (groups.hits_above + 1 - slope * (groups.above + 1)) * spread
    single = (groups.hits_above + 1) / (groups.above + 1) * places
    return groups.hits / groups.tied * np.where(groups.tied == 1, single, tied)


def expected_average_precision(groups: TieGroups) -> np.ndarray:
    """Return the (q,) expected average precision of each query, NaN without a positive."""
    sums = np.bincount(groups.query, weights=expected_precision_sum(groups), minlength=len(groups.positives))
    return np.where(groups.positives > 0, sums / np.maximum(groups.positives, 1), np.nan)


@lru_cache(2)
def _harmonic(bits: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, 2**bits))])


def _compact(query: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Renumber codes as int32, which compare faster."""
    query, gallery = np.asarray(query), np.asarray(gallery)
    _, codes = np.unique(np.concatenate([query, gallery]), return_inverse=True)
    codes = codes.astype(np.int32)
    return codes[: len(query)], codes[len(query) :]
