"""Semi-hard mining: negatives farther than the positive, but by less than a margin."""

from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.miners import TripletMarginMiner
from torch import nn


def build(distance: BaseDistance | None = None, *, margin: float = 0.2) -> nn.Module:
    """Return a miner: `(embeddings (B, D), labels (B,))` to all triplets with 0 < d(a, n) - d(a, p) <= `margin`.

    d is the `distance` of the geometry; None: the Euclidean one of the normalised embeddings.
    Source: Schroff et al. 2015, arXiv:1503.03832. Library: pytorch-metric-learning, TripletMarginMiner.
    """
    return TripletMarginMiner(margin=margin, type_of_triplets="semihard", distance=distance)
