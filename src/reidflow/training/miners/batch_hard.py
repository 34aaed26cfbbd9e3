"""Batch-hard mining: for each anchor the farthest positive and the nearest negative of the batch."""

from pytorch_metric_learning.miners import BatchHardMiner
from torch import nn


def build() -> nn.Module:
    """Return a miner: `(embeddings (B, D), labels (B,))` to triplets (anchors, positives, negatives), one an anchor.

    Source: Hermans et al. 2017, arXiv:1703.07737. Library: pytorch-metric-learning, BatchHardMiner.
    """
    return BatchHardMiner()
