"""Sub-centre ArcFace: several class weights for each identity, the nearest one counts."""

import math

from pytorch_metric_learning.losses import SubCenterArcFaceLoss
from torch import nn


def build(dim: int, classes: int, *, margin: float = 0.5, scale: float = 64.0, centers: int = 3) -> nn.Module:
    """Return ArcFace in which a class has `centers` weights and its cosine is the largest of theirs.

    `margin` is in radians. `forward(embeddings (B, dim), labels (B,), indices_tuple=None)` gives a scalar.
    Source: Deng et al. 2020, ECCV, "Sub-center ArcFace". Library: pytorch-metric-learning, SubCenterArcFaceLoss.
    """
    return SubCenterArcFaceLoss(
        num_classes=classes, embedding_size=dim, margin=math.degrees(margin), scale=scale, sub_centers=centers
    )
