"""Cross-entropy of a linear classifier on the embedding, as networks are trained for classification."""

import torch
from torch import nn
from torch.nn import functional as F


def build(dim: int, classes: int) -> nn.Module:
    """Return softmax cross-entropy of the logits that a linear layer with bias makes of the embedding.

    `forward(embeddings (B, dim), labels (B,), indices_tuple=None)` gives a scalar; weights and bias of the classifier are
    parameters. Lengths of embeddings and of class weights count, unlike in the ranking, which compares angles: see
    `cross_entropy` for the loss of the angles alone. Library: torch, nn.Linear and cross_entropy.
    """
    return LinearSoftmax(dim, classes)


class LinearSoftmax(nn.Module):
    """A linear classifier with its loss."""

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(dim, classes)

    def forward(
        self, embeddings: torch.Tensor, labels: torch.Tensor, indices_tuple: tuple | None = None
    ) -> torch.Tensor:
        """Return the mean loss of the batch; no pairs are mined, so `indices_tuple` says nothing."""
        return F.cross_entropy(self.classifier(embeddings), labels)
