"""Vectors kept as short codes in lists around centres, of which a query visits a few: little memory, approximate."""

import faiss
import numpy as np

from reidflow.spec.errors import ReidflowError

PER_CENTRE = 39  # vectors that FAISS needs for each centre that it trains


def build(vectors: np.ndarray, *, lists: int = 64, probes: int = 8, m: int = 16, bits: int = 8) -> faiss.Index:
    """Return an index of the vectors (N, D), float32 of length 1.

    lists: centres around which the vectors are filed; about the square root of their number. probes: lists that a query
    looks at. m: parts that a vector is cut into, each coded in `bits` bits; D must be a multiple of it.
    What a search proposes is compared again by its true vector, so codes decide only what is proposed.
    Source: Jegou et al. 2011, doi:10.1109/TPAMI.2010.57. Library: FAISS, IndexIVFPQ.
    Raises ReidflowError where the vectors are too few, or cannot be cut.
    """
    count, dim = vectors.shape
    needed = PER_CENTRE * max(lists, 2**bits)
    if count < needed:
        raise ReidflowError(
            f"index ivf_pq: {count} vectors are too few to train {lists} lists and codes of {bits} bits, which take "
            f"{needed}. Use fewer lists and bits, or an index that is not trained: flat, hnsw."
        )
    if dim % m:
        raise ReidflowError(
            f"index ivf_pq: vectors of {dim} numbers cannot be cut into m = {m} parts. Choose a divisor."
        )
    index = faiss.IndexIVFPQ(faiss.IndexFlatIP(dim), dim, lists, m, bits, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    index.nprobe = probes
    return index
