"""Connected components of pairs. Evaluation imports this without what finds pairs, which is slow to load."""

import numpy as np


def components(count: int, pairs: np.ndarray) -> np.ndarray:
    """Return for each of `count` nodes the smallest node of its connected component; pairs: (P, 2) int64."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    smallest = np.full(labels.max(initial=-1) + 1, count)
    np.minimum.at(smallest, labels, np.arange(count))
    return smallest[labels]
