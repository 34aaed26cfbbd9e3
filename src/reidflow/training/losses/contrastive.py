"""Contrastive loss: pairs of one identity together, pairs of two apart."""

from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.losses import ContrastiveLoss
from torch import nn

from reidflow.training.losses._counting import CountingReducer


def build(
    dim: int,
    classes: int,
    distance: BaseDistance | None = None,
    *,
    positive_margin: float = 0.0,
    negative_margin: float = 1.0,
) -> nn.Module:
    """Return mean max(0, d - `positive_margin`) of positive pairs plus mean max(0, `negative_margin` - d) of negatives.

    Each mean is over the pairs with a loss above 0; d is the `distance` of the geometry; None: the Euclidean one of the normalised
    embeddings, 0 to 2.
    `forward(embeddings (B, dim), labels (B,), indices_tuple=None)` gives a scalar.
    Source: Hadsell et al. 2006, CVPR. Library: pytorch-metric-learning, ContrastiveLoss.
    """
    return ContrastiveLoss(
        pos_margin=positive_margin, neg_margin=negative_margin, reducer=CountingReducer(), distance=distance
    )
