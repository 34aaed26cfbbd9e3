"""Circle loss: pairs weighted by how far they are from their optimum."""

from pytorch_metric_learning.losses import CircleLoss
from torch import nn

from reidflow.training.losses._counting import CountingReducer


def build(dim: int, classes: int, *, margin: float = 0.25, scale: float = 128.0) -> nn.Module:
    """Return the circle loss on cosines, with relaxation `margin` and `scale` (the paper's gamma).

    The defaults are the paper's for person re-identification.
    `forward(embeddings (B, dim), labels (B,), indices_tuple=None)` gives a scalar.
    Source: Sun et al. 2020, arXiv:2002.10857. Library: pytorch-metric-learning, CircleLoss.
    """
    return CircleLoss(m=margin, gamma=scale, reducer=CountingReducer())
