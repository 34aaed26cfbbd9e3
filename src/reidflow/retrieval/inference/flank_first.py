"""Same flank first: candidates of the query's flank rank before those of another one,
as where viewpoints are matched first.
"""

from dataclasses import replace

import numpy as np

from reidflow.evaluation.ranking import BLOCK_ELEMENTS
from reidflow.evaluation.retrieval_queries import Retrieval, scores
from reidflow.spec.errors import ReidflowError
from reidflow.splits.candidates import differing

TRANSDUCTIVE = False
FLAT = False
LAST = True
SIMILARITIES = True
FOLLOWS = True
MARGIN = 2.0**-10
"""How far the best candidate of another flank lies below the worst of the query's."""


def apply(retrieval: Retrieval, *, penalty: float | None = None) -> Retrieval:
    """Return `retrieval` with a matrix in which candidates of another flank than the query's have lower similarities.

    An image of unknown flank may show any: it counts as the query's, and for a query of unknown flank nothing changes.
    The order within each of the two kinds stays as it is.

    penalty: what those of another flank lose, in units of the similarity (a cosine: 0 to 2); choose it on validation.
    None: all of them come behind all of the query's flank, as where a matcher proposes candidates of the same viewpoint
    (Wildbook's identification, Berger-Wolf et al. 2017, arXiv:1710.08880) before any other.
    Raises ReidflowError where no image has a flank.
    """
    if penalty is not None and not penalty > 0:
        raise ReidflowError(
            f"inference: 'flank_first' takes a penalty above 0, not {penalty:g}. Write e.g. 0.2, or null."
        )
    query, gallery = retrieval.query_flank, retrieval.gallery_flank
    if query is None or gallery is None or max(query.max(initial=-1), gallery.max(initial=-1)) < 0:
        raise ReidflowError(
            "inference: 'flank_first': no query and no candidate has a flank. Name its column in the source, e.g. dataset: "
            "{source: {flank: flank}}, or have it read from the files' names (dataset.from_names), or leave 'flank_first' out."
        )
    matrix = np.empty((len(query), len(gallery)), np.float32)
    size = max(1, BLOCK_ELEMENTS // max(1, len(gallery)))
    for start in range(0, len(query), size):
        rows = slice(start, start + size)
        values, other = scores(retrieval, rows), differing(query[rows, None], gallery)
        values[other] -= np.broadcast_to(_spread(values) if penalty is None else penalty, values.shape)[other]
        matrix[rows] = values
    return replace(retrieval, matrix=matrix)


def _spread(values: np.ndarray) -> np.ndarray:
    """Return (q, 1): more than the difference of the largest and the smallest finite value of each row."""
    finite = np.isfinite(values)
    largest = np.where(finite, values, -np.inf).max(axis=1, initial=-np.inf)
    smallest = np.where(finite, values, np.inf).min(axis=1, initial=np.inf)
    return np.where(finite.any(axis=1), largest - smallest + MARGIN, 0.0)[:, None]
