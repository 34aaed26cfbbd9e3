"""The whole image in the middle of a square; nothing is cut off, nothing distorted."""

Box = tuple[float, float, float, float]


def box(width: int, height: int, bounds: tuple[int, int, int, int] | None) -> Box:
    """Return left, top, right, bottom, in pixels of the image, of what becomes the square.

    The area outside the image is filled with grey. `bounds` (of the mask) are not used.
    """
    side = max(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
