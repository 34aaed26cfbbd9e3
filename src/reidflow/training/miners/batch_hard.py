"""Batch-hard mining: for each anchor the farthest positive and the nearest negative of the batch."""

from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.miners import BatchHardMiner
from torch import nn


def build(distance: BaseDistance | None = None) -> nn.Module:
    """Return a miner: `(embeddings (B, D), labels (B,))` to triplets (anchors, positives, negatives), one an anchor.

    Far and near by the `distance` of the geometry; None: the Euclidean one of the normalised embeddings.

    Source: Hermans et al. 2017, arXiv:1703.07737. Library: pytorch-metric-learning, BatchHardMiner.
    """
    return BatchHardMiner(distance=distance)
