"""Cross-entropy over the cosines to class weights (normalised softmax)."""

from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from torch import nn


def build(dim: int, classes: int, *, scale: float = 20.0) -> nn.Module:
    """Return softmax cross-entropy with logits `scale` x cosine(embedding, class weight).

    `forward(embeddings (B, dim), labels (B,), indices_tuple=None)` gives a scalar; the class weights are parameters.
    Source: Zhai & Wu 2019, arXiv:1811.12649. Library: pytorch-metric-learning, NormalizedSoftmaxLoss.
    """
    return NormalizedSoftmaxLoss(num_classes=classes, embedding_size=dim, temperature=1 / scale)
