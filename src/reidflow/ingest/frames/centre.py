"""A part of the image around its centre, or another point of it, stretched to a square."""

from reidflow.spec.errors import ReidflowError

Box = tuple[float, float, float, float]


def box(
    width: int,
    height: int,
    bounds: tuple[int, int, int, int] | None,
    *,
    wide: float = 0.5,
    high: float = 0.5,
    across: float = 0.5,
    down: float = 0.5,
) -> Box:
    """Return left, top, right, bottom, in pixels, of the part that is kept. `bounds` (of the mask) are not used.

    wide, high: the shares of the width and of the height that are kept; across, down: where the middle of the part
    lies, from left to right and from top to bottom, as shares too. Raises ReidflowError for a part that is not wholly
    inside.
    """
    part = (across - wide / 2, down - high / 2, across + wide / 2, down + high / 2)
    if min(wide, high) <= 0 or min(part) < -1e-9 or max(part) > 1 + 1e-9:
        raise ReidflowError(
            f"frame 'centre': wide {wide}, high {high}, across {across}, down {down} is not within the image. All are "
            "shares of it; across and down are the centre of the part."
        )
    left, top, right, bottom = part
    return left * width, top * height, right * width, bottom * height
