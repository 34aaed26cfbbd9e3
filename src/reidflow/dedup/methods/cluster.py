"""Clusters: agglomerative clustering of the embeddings, each threshold one cut of its tree."""

from typing import Literal

import numpy as np
from scipy.cluster.hierarchy import cophenet
from scipy.cluster.hierarchy import linkage as agglomerate

from reidflow.dedup.components import components
from reidflow.dedup.images import Images
from reidflow.dedup.neighbours import near_pairs, pair_distances
from reidflow.spec.errors import ReidflowError

LARGEST = 20_000  # images of one component: its distances take 1.6 GB


def pairs(
    images: Images, loosest: float, *, linkage: Literal["complete", "average"] = "average"
) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs (P, 2) int64 of rows, i < j, that share a cluster, and the height where they first do.

    The height, at most `loosest`, is the cophenetic distance: the greatest (complete) or mean (average) 1 - cosine
    between the two clusters whose merger joins the pair. Within a cluster cut at t every pair is at most t apart, and
    pairs of different clusters are farther: the connected components at t are the clusters at t.

    Clusters that merge at `loosest` or lower have a pair of images at most `loosest` apart. So each connected component
    of the graph of those pairs is clustered by itself: the same clusters, and memory grows with the square of the
    largest component instead of the data set. Raises ReidflowError for a component of over 20,000 images.
    Library: scipy.cluster.hierarchy.
    """
    near, _ = near_pairs(images.vectors, loosest)
    label = components(len(images.vectors), near)
    order = np.argsort(label, kind="stable")
    starts = np.flatnonzero(np.diff(label[order], prepend=-1))
    found, heights = [np.empty((0, 2), np.int64)], [np.empty(0)]
    for members in np.split(order, starts[1:]):
        if len(members) > 1:
            pair, height = _clustered(images.vectors, members, linkage)
            found.append(pair[height <= loosest])
            heights.append(height[height <= loosest])
    return np.concatenate(found), np.concatenate(heights)


def _clustered(vectors: np.ndarray, members: np.ndarray, linkage: str) -> tuple[np.ndarray, np.ndarray]:
    if len(members) > LARGEST:
        raise ReidflowError(
            f"the method 'cluster' would cluster {len(members)} connected images at once, more than "
            f"{LARGEST}. Lower the largest threshold, so that fewer images are connected."
        )
    first, second = np.triu_indices(len(members), 1)
    pair = np.stack([members[first], members[second]], axis=1)
    apart = pair_distances(vectors, pair[:, 0], pair[:, 1])
    return pair, cophenet(agglomerate(apart, linkage))
