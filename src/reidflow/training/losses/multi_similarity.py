"""Multi-similarity loss: pairs weighted against the other pairs of their anchor."""

from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.losses import MultiSimilarityLoss
from torch import nn


def build(
    dim: int,
    classes: int,
    distance: BaseDistance | None = None,
    *,
    alpha: float = 2.0,
    beta: float = 50.0,
    base: float = 0.5,
) -> nn.Module:
    """Return the multi-similarity loss on cosines: weights `alpha` of positives and `beta` of negatives, shift `base`.

    In a geometry with a `distance`, minus the distance replaces the cosine, and minus `base` that of `base`.

    `forward(embeddings (B, dim), labels (B,), indices_tuple=None)` gives a scalar.
    Source: Wang et al. 2019, arXiv:1904.06627. Library: pytorch-metric-learning, MultiSimilarityLoss.
    """
    return MultiSimilarityLoss(alpha=alpha, beta=beta, base=base, distance=distance)
