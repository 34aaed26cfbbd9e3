"""Directions: embeddings are compared by the angle between them."""


def build() -> None:
    """Return None: the head's output stays as it is, and losses and rankings use its direction alone."""
    return None
