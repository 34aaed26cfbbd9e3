"""ArcFace: an additive angular margin."""

import math

from pytorch_metric_learning.losses import ArcFaceLoss
from torch import nn


def build(dim: int, classes: int, *, margin: float = 0.5, scale: float = 64.0) -> nn.Module:
    """Return cross-entropy whose own-class logit is `scale` x cos(angle + `margin`), `margin` in radians.

    `forward(embeddings (B, dim), labels (B,), indices_tuple=None)` gives a scalar; the class weights are parameters.
    Source: Deng et al. 2019, arXiv:1801.07698. Library: pytorch-metric-learning, ArcFaceLoss (margin in degrees there).
    """
    return ArcFaceLoss(num_classes=classes, embedding_size=dim, margin=math.degrees(margin), scale=scale)
