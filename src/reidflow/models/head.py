"""The trained network between the pooled features and the embedding."""

from torch import nn

from reidflow.models.determinism import seeded
from reidflow.spec.run import Head

NORMS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


def build_head(head: Head, in_dim: int, seed: int) -> nn.Sequential:
    """Return the head: features (B, in_dim) -> embeddings (B, head.dim), not normalised.

    `depth` hidden layers [linear to `hidden`, norm (where there is one), activation] where `hidden` is not 0, then
    dropout (where not 0) and a linear layer.
    The initial weights depend on `seed` alone, with or without a backbone; global random numbers stay as they were.
    """
    with seeded(seed, "head"):
        layers: list[nn.Module] = []
        width = in_dim
        for _ in range(head.depth if head.hidden else 0):
            layers.append(nn.Linear(width, head.hidden))
            if head.norm != "none":
                layers.append(NORMS[head.norm](head.hidden))
            layers.append(ACTIVATIONS[head.activation]())
            width = head.hidden
        if head.dropout:
            layers.append(nn.Dropout(head.dropout))
        layers.append(nn.Linear(width, head.dim))
    return nn.Sequential(*layers)
