"""A square around the mask, in true proportions."""

from reidflow.ingest.frames import pad

Box = tuple[float, float, float, float]


def box(width: int, height: int, bounds: tuple[int, int, int, int] | None, *, margin: float = 0.1) -> Box:
    """Return left, top, right, bottom, in pixels of the image, of a square around the mask.

    `bounds`: the mask's left, top, right, bottom; None (no mask): the whole image, as `pad` does it. `margin` is
    added on each side, as a share of the longer side of `bounds`. The square is moved into the image where it
    fits, to avoid padding.
    """
    if bounds is None:
        return pad.box(width, height, bounds)
    left, top, right, bottom = bounds
    side = max(right - left, bottom - top) * (1 + 2 * margin)
    x = _along((left + right) / 2, side, width)
    y = _along((top + bottom) / 2, side, height)
    return x, y, x + side, y + side


def _along(centre: float, side: float, length: int) -> float:
    """Return the start of the square along one axis: as close to centred as keeps it inside, or around the image."""
    lowest, highest = sorted((0.0, length - side))
    return min(max(centre - side / 2, lowest), highest)
