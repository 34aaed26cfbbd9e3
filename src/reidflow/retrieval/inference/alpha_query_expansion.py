"""Query expansion that trusts near neighbours more."""

import numpy as np

from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.retrieval.inference._neighbours import add_neighbours, cosines, nearest
from reidflow.retrieval.inference._vectors import averageable, moved

TRANSDUCTIVE = False
FLAT = True
LAST = False


def apply(retrieval: Retrieval, *, k: int = 10, alpha: float = 3.0) -> Retrieval:
    """Return the queries replaced by the mean of each, with weight 1, and its `k` nearest candidates.

    A candidate's weight is its cosine to the query to the power `alpha`, 0 below a cosine of 0; with `alpha` 0 it is 1,
    which is average query expansion. Candidates only: neither the query itself nor its group.
    Source: Radenovic et al. 2018, arXiv:1711.02512, section 5.
    """
    queries, gallery = averageable(retrieval, "alpha_query_expansion")
    rows, _ = nearest(retrieval, k)
    weights = np.maximum(cosines(queries, gallery, rows), 0) ** alpha
    return moved(retrieval, add_neighbours(queries, gallery, rows, weights))
