"""CosFace: a margin subtracted from the cosine."""

from pytorch_metric_learning.losses import CosFaceLoss
from torch import nn


def build(dim: int, classes: int, *, margin: float = 0.35, scale: float = 64.0) -> nn.Module:
    """Return cross-entropy whose own-class logit is `scale` x (cosine - `margin`).

    `forward(embeddings (B, dim), labels (B,), indices_tuple=None)` gives a scalar; the class weights are parameters.
    Source: Wang et al. 2018, arXiv:1801.09414. Library: pytorch-metric-learning, CosFaceLoss.
    """
    return CosFaceLoss(num_classes=classes, embedding_size=dim, margin=margin, scale=scale)
