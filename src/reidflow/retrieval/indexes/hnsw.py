"""A graph of near neighbours, searched from node to node: fast and nearly exact, with more memory."""

import faiss
import numpy as np


def build(vectors: np.ndarray, *, m: int = 32, ef_construction: int = 200, ef_search: int = 64) -> faiss.Index:
    """Return an index of the vectors (N, D), float32 of length 1.

    m: neighbours of each node (twice as many on the lowest level). ef_construction, ef_search: candidates kept while a
    node is added, while a query walks; more are slower and nearer to exact, and `ef_search` should be no less than the
    number of answers.
    Source: Malkov & Yashunin 2016, arXiv:1603.09320. Library: FAISS, IndexHNSWFlat.
    """
    index = faiss.IndexHNSWFlat(vectors.shape[1], m, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = ef_construction
    index.hnsw.efSearch = ef_search
    index.add(vectors)
    return index
