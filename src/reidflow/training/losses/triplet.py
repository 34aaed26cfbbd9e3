"""Triplet loss: the own identity nearer than another one by a margin."""

from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import nn

from reidflow.training.losses._counting import CountingReducer


def build(
    dim: int, classes: int, distance: BaseDistance | None = None, *, margin: float = 0.2, smooth: bool = False
) -> nn.Module:
    """Return the mean over the triplets with a loss above 0 of max(0, d(a, p) - d(a, n) + `margin`).

    d is the `distance` of the geometry; None: the Euclidean one of the normalised embeddings, 0 to 2. `smooth` replaces max(0, x) by softplus(x).
    Without a miner every triplet of the batch counts. `forward(embeddings (B, dim), labels (B,), indices_tuple=None)`.
    Source: Schroff et al. 2015, arXiv:1503.03832. Library: pytorch-metric-learning, TripletMarginLoss.
    """
    return TripletMarginLoss(margin=margin, smooth_loss=smooth, reducer=CountingReducer(), distance=distance)
