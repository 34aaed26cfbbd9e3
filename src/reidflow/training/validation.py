"""Identity-balanced mAP on the validation images, the number that chooses the checkpoint."""

import math
from typing import Any

import numpy as np
from torch import nn

from reidflow.evaluation.average_precision import average_precisions, identity_balanced
from reidflow.evaluation.ranking import integer_codes, similarity_of
from reidflow.spec.errors import ReidflowError
from reidflow.training.data import RunData


class Validation:
    """Queries: the role val. Gallery: the role val, or all rows. Candidates of the query's own group do not count.

    Where the data have sides, images of the gallery side are no queries, and those of the query side are no candidates.
    geometry: the name of the one by whose distance the gallery is ranked.
    """

    def __init__(self, data: RunData, geometry: str) -> None:
        self.similarity = similarity_of(geometry)
        self.queries = data.not_of(data.rows("val"), "gallery")
        self.gallery = data.not_of(data.candidates("val"), "query")
        self.rows = np.union1d(self.queries, self.gallery)
        self.at_queries = np.searchsorted(self.rows, self.queries)
        self.at_gallery = np.searchsorted(self.rows, self.gallery)
        place = {row: position for position, row in enumerate(self.gallery)}
        self.index = np.array([place.get(row, -1) for row in self.queries], dtype=np.int64)
        (self.identity,), (self.group,) = integer_codes(data.identities), integer_codes(data.groups)

    def __bool__(self) -> bool:
        return len(self.queries) > 0

    def score(self, inputs: Any, module: nn.Module) -> float | None:
        """Return the identity-balanced mAP of `module`, which is in evaluation mode.

        None without validation images, NaN where an embedding is not finite.
        """
        if not self:
            return None
        vectors = inputs.embed(module, self.rows)
        return self.id_map(vectors) if np.isfinite(vectors).all() else math.nan

    def id_map(self, vectors: np.ndarray) -> float:
        """Return the identity-balanced mAP, 0 to 1, of the embeddings (len(self.rows), dim) of `self.rows`.

        Raises ReidflowError where no query has an image of its identity in another group.
        """
        queries, gallery = (
            vectors if len(at) == len(vectors) else vectors[at] for at in (self.at_queries, self.at_gallery)
        )
        ap = average_precisions(
            queries,
            gallery,
            self.identity[self.queries],
            self.identity[self.gallery],
            query_index=self.index,
            query_group=self.group[self.queries],
            gallery_group=self.group[self.gallery],
            similarity=self.similarity,
        )
        score = float(identity_balanced(ap, self.identity[self.queries]))
        if np.isnan(score):
            raise ReidflowError(
                "no validation image has another one of its identity in a different group, so there is no mAP to choose "
                "by. Use a split with two groups of an identity in val, gallery: all, or a split without val."
            )
        return score
