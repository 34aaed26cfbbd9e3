"""Identity-balanced mAP on the validation images, the number that chooses the checkpoint."""

import math
from typing import Any

import numpy as np
from torch import nn

from reidflow.evaluation.average_precision import average_precisions, identity_balanced
from reidflow.evaluation.codes import integer_codes
from reidflow.evaluation.similarity import similarity_of
from reidflow.spec.errors import ReidflowError
from reidflow.training.data import RunData


class Validation:
    """Queries: the role val. Gallery: the role val, or all rows. Candidates of the query's own group do not count.

    geometry: the name of the one by whose distance the gallery is ranked.
    """

    def __init__(self, data: RunData, geometry: str) -> None:
        self.similarity = similarity_of(geometry)
        self.queries = data.rows("val")
        self.rows = np.arange(len(data.images)) if data.gallery == "all" else self.queries
        self.index = np.searchsorted(self.rows, self.queries)
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
        queries = vectors if len(self.index) == len(vectors) else vectors[self.index]
        ap = average_precisions(
            queries,
            vectors,
            self.identity[self.queries],
            self.identity[self.rows],
            query_index=self.index,
            query_group=self.group[self.queries],
            gallery_group=self.group[self.rows],
            similarity=self.similarity,
        )
        score = float(identity_balanced(ap, self.identity[self.queries]))
        if np.isnan(score):
            raise ReidflowError(
                "no validation image has another one of its identity in a different group, so there is no mAP to choose "
                "by. Use a split with two groups of an identity in val, gallery: all, or a split without val."
            )
        return score
