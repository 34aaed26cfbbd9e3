"""The whole image, stretched to a square; nothing is cut off, nothing filled in, proportions change."""

Box = tuple[float, float, float, float]


def box(width: int, height: int, bounds: tuple[int, int, int, int] | None) -> Box:
    """Return left, top, right, bottom, in pixels, of the whole image. `bounds` (of the mask) are not used."""
    return 0.0, 0.0, float(width), float(height)
