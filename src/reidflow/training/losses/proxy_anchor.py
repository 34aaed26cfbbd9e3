"""Proxy-anchor: a proxy for each identity is the anchor, all images of the batch are its pairs."""

from pytorch_metric_learning.losses import ProxyAnchorLoss
from torch import nn


def build(dim: int, classes: int, *, margin: float = 0.1, scale: float = 32.0) -> nn.Module:
    """Return the proxy-anchor loss on cosines, with `margin` and `scale` (the paper's delta and alpha).

    `forward(embeddings (B, dim), labels (B,), indices_tuple=None)` gives a scalar; the proxies are parameters.
    Source: Kim et al. 2020, arXiv:2003.13911. Library: pytorch-metric-learning, ProxyAnchorLoss.
    """
    return ProxyAnchorLoss(num_classes=classes, embedding_size=dim, margin=margin, alpha=scale)
