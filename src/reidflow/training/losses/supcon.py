"""Supervised contrastive loss."""

from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.losses import SupConLoss
from torch import nn

from reidflow.training.losses._counting import CountingReducer


def build(dim: int, classes: int, distance: BaseDistance | None = None, *, temperature: float = 0.1) -> nn.Module:
    """Return the mean over anchors of the mean negative log-softmax of their positives, cosines over `temperature`.

    In a geometry with a `distance`, minus the distance replaces the cosine.

    `forward(embeddings (B, dim), labels (B,), indices_tuple=None)` gives a scalar.
    Source: Khosla et al. 2020, arXiv:2004.11362, L_out. Library: pytorch-metric-learning, SupConLoss.
    """
    return SupConLoss(temperature=temperature, reducer=CountingReducer(), distance=distance)
