"""The trained network between the pooled features and the embedding."""

from torch import nn

from reidflow.models.seeded import seeded
from reidflow.spec.run import Head


def build_head(head: Head, in_dim: int, seed: int) -> nn.Sequential:
    """Return the head: features (B, in_dim) -> embeddings (B, head.dim), not normalised.

    [linear to `hidden`, batch norm, ReLU] where `hidden` is not 0, then dropout (where not 0) and a linear layer.
    The initial weights depend on `seed` alone, with or without a backbone; global random numbers stay as they were.
    """
    with seeded(seed, "head"):
        layers: list[nn.Module] = []
        if head.hidden:
            layers += [nn.Linear(in_dim, head.hidden), nn.BatchNorm1d(head.hidden), nn.ReLU()]
        if head.dropout:
            layers.append(nn.Dropout(head.dropout))
        layers.append(nn.Linear(head.hidden or in_dim, head.dim))
    return nn.Sequential(*layers)
