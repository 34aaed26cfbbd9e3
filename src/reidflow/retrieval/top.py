"""The best of a gallery for each query."""

import numpy as np

from reidflow.evaluation.asked import Retrieval, ranked_blocks
from reidflow.evaluation.ranking import unit
from reidflow.retrieval.index import build_index, search


def top(asked: Retrieval, k: int) -> np.ndarray:
    """Return (Q, min(k, G)) int64: the rows of the gallery that each query ranks first, best first.

    Of equally similar rows the first one is first. The query's own row and group are not left out.
    """
    if asked.matrix is None and asked.similarity is None:
        queries, gallery = (unit(vectors).astype(np.float32) for vectors in (asked.queries, asked.gallery))
        return search(build_index(gallery, {"name": "flat"}), gallery, queries, k)[0]
    best = [np.argsort(-steps, axis=1, kind="stable")[:, :k] for _, steps in ranked_blocks(asked)]
    return np.concatenate(best).astype(np.int64)
