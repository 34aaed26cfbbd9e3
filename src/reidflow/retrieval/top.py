"""The best of a gallery for each query, in the geometry of the vectors."""

import numpy as np

from reidflow.evaluation.ranking import Similarity, similarity_blocks, unit
from reidflow.retrieval.index import build_index, search


def top(queries: np.ndarray, gallery: np.ndarray, k: int, similarity: Similarity | None = None) -> np.ndarray:
    """Return (Q, min(k, G)) int64: the rows of the gallery (G, D) most similar to each query (Q, D), best first.

    similarity: that of a geometry, None the cosine. Of equally similar rows the first one is first.
    """
    if similarity is None:
        queries, gallery = (unit(vectors).astype(np.float32) for vectors in (queries, gallery))
        return search(build_index(gallery, {"name": "flat"}), gallery, queries, k)[0]
    blocks = [
        np.argsort(-steps, axis=1, kind="stable") for _, steps in similarity_blocks(queries, gallery, similarity, None)
    ]
    return np.concatenate(blocks)[:, :k].astype(np.int64)
