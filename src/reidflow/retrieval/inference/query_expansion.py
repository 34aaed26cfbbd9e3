"""Average query expansion: a query is averaged with its nearest candidates."""

import numpy as np

from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.retrieval.inference._neighbours import add_neighbours, nearest
from reidflow.retrieval.inference._vectors import averageable, moved

TRANSDUCTIVE = False
FLAT = True
LAST = False


def apply(retrieval: Retrieval, *, k: int = 5) -> Retrieval:
    """Return the queries replaced by the mean of each and its `k` nearest candidates, the query not counted among them.

    Candidates only: neither the query itself nor its group. A `k` beyond the gallery takes all of it. Without spatial
    verification, which the paper has.
    Source: Chum et al. 2007, doi:10.1109/ICCV.2007.4408891.
    """
    queries, gallery = averageable(retrieval, "query_expansion")
    rows, _ = nearest(retrieval, k)
    return moved(retrieval, add_neighbours(queries, gallery, rows, np.ones(rows.shape)))
