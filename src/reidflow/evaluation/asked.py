"""Queries and the gallery that they are ranked in, and what is done to them before the ranking."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from reidflow.evaluation.average_precision import Masks
from reidflow.evaluation.ranking import STEPS, Similarity, similarity_blocks
from reidflow.spec import components
from reidflow.spec.errors import ReidflowError


@dataclass(frozen=True)
class Retrieval:
    """Queries and the gallery that they are ranked in.

    Attributes:
        queries: (Q, D) float32.
        gallery: (G, D) float32.
        query_index: (Q,) where each query stands in the gallery, -1 if nowhere; None if none does. It is never its own
            candidate.
        query_group: (Q,) integer codes; candidates of the query's own group are left out. None leaves none out.
        gallery_group: (G,) integer codes, given with `query_group`.
        similarity: maps (q, D), (G, D) to (q, G), in float64; None is the cosine.
        matrix: (Q, G) float32 similarities that stand in for those of the vectors; None if the vectors are ranked.
    """

    queries: np.ndarray
    gallery: np.ndarray
    query_index: np.ndarray | None = None
    query_group: np.ndarray | None = None
    gallery_group: np.ndarray | None = None
    similarity: Similarity | None = None
    matrix: np.ndarray | None = None

    def masks(self, query_identity: np.ndarray | None = None, gallery_identity: np.ndarray | None = None) -> Masks:
        """Return which candidates are positives and which are none; without identities all are of one."""
        if query_identity is None or gallery_identity is None:
            query_identity, gallery_identity = np.zeros(len(self.queries), int), np.zeros(len(self.gallery), int)
        return Masks(query_identity, gallery_identity, self.query_index, self.query_group, self.gallery_group)


def infer(asked: Retrieval, steps: list[dict[str, Any]], flipped: Retrieval | None = None) -> Retrieval:
    """Return `asked` after inference components, in their order.

    steps: resolved components of the kind `inference`. flipped: the same images seen in a mirror, for the component that
    asks for them. Raises ReidflowError where a step cannot be done.
    """
    for place, step in enumerate(steps):
        if "flipped" not in components.context("inference", step["name"]):
            asked = components.call("inference", step, asked)
            continue
        if place > 0:
            raise ReidflowError(f"inference: '{step['name']}' looks at the images themselves. Put it first.")
        if flipped is None:
            raise ReidflowError(
                f"inference: '{step['name']}' needs embeddings of the mirrored images. Leave it out here."
            )
        asked = components.call("inference", step, asked, flipped)
    return asked


def scores(asked: Retrieval, rows: slice) -> np.ndarray:
    """Return the (q, G) float64 similarities of a block of queries, rounded as the metric ranks them.

    Minus infinity where they are not numbers. Images that are no candidates have theirs too.
    """
    queries = asked.queries[rows] if asked.matrix is None else asked.matrix[rows]
    blocks = [steps for _, steps in _blocks(asked, queries, max(1, len(queries)))]
    return blocks[0] / STEPS if blocks else np.empty((0, len(asked.gallery)))


def ranked_blocks(asked: Retrieval, block: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows, steps): blocks of queries with what they are ranked by, as `ranking.similarity_blocks`."""
    return _blocks(asked, asked.queries if asked.matrix is None else asked.matrix, block)


def _blocks(asked: Retrieval, queries: np.ndarray, block: int | None) -> Iterator[tuple[slice, np.ndarray]]:
    if asked.matrix is None:
        return similarity_blocks(queries, asked.gallery, asked.similarity, block)
    return similarity_blocks(queries, asked.gallery, _as_they_are, block)


def _as_they_are(matrix: np.ndarray, _: np.ndarray) -> np.ndarray:
    return matrix.astype(np.float64)
