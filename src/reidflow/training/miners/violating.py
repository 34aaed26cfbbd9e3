"""Every triplet that violates the margin."""

from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.miners import TripletMarginMiner
from torch import nn


def build(distance: BaseDistance | None = None, *, margin: float = 0.2) -> nn.Module:
    """Return a miner: `(embeddings (B, D), labels (B,))` to all triplets with d(a, n) - d(a, p) <= `margin`.

    d is the `distance` of the geometry; None: the Euclidean one of the normalised embeddings. Library: pytorch-metric-learning, TripletMarginMiner.
    """
    return TripletMarginMiner(margin=margin, type_of_triplets="all", distance=distance)
