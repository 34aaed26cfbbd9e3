"""Directions: embeddings are compared by the angle between them."""

similarity = None
"""Rankings use the cosine."""


def build() -> None:
    """Return None: the head's output stays as it is, and losses and rankings use its direction alone."""
    return None
