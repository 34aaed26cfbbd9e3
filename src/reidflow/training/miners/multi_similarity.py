"""Multi-similarity mining: pairs that are hard against the anchor's hardest pair of the other kind."""

from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.miners import MultiSimilarityMiner
from torch import nn


def build(distance: BaseDistance | None = None, *, epsilon: float = 0.1) -> nn.Module:
    """Return a miner: `(embeddings (B, D), labels (B,))` to pairs (anchors, positives, anchors, negatives).

    A negative is kept if its cosine exceeds the smallest positive one less `epsilon`, and the reverse for positives.
    In a geometry with a `distance`, minus the distance replaces the cosine.
    Source: Wang et al. 2019, arXiv:1904.06627. Library: pytorch-metric-learning, MultiSimilarityMiner.
    """
    return MultiSimilarityMiner(epsilon=epsilon, distance=distance)
