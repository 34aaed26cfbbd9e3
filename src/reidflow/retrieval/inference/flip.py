"""Mirror images: what an image and its mirror image have in common."""

import numpy as np

from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.retrieval.inference._vectors import averageable, moved

TRANSDUCTIVE = False
FLAT = True
LAST = False


def apply(retrieval: Retrieval, flipped: Retrieval) -> Retrieval:
    """Return every embedding replaced by the mean of its own and its mirror image's, unit vectors on the hypersphere.

    flipped: the same images, each seen in a mirror. Both sides change; each image is changed by itself alone. Where
    the two flanks differ, as a jaguar's do, the mirror image shows an animal that does not exist.
    Source: Wang et al. 2018, arXiv:1804.01438, section 4.2, among others.
    """
    pairs = zip(averageable(retrieval, "flip"), averageable(flipped, "flip"), strict=True)
    queries, gallery = (np.add(own, mirrored) / 2 for own, mirrored in pairs)
    return moved(retrieval, queries, gallery)
