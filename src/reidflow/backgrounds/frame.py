"""Where a frame shows its photograph, and where it reaches beyond it."""

import numpy as np

from reidflow.ingest.framing import GREY


def inside(pixels: np.ndarray) -> np.ndarray:
    """Return where the frame shows the photograph, bool (S, S); pixels: uint8 (S, S, 3), as the image store holds them.

    Padding is what ingest adds: whole rows and columns at the border that are GREY from end to end. A frame that is
    GREY all over counts as a photograph.
    """
    red, green, blue = (pixels[..., channel] != GREY[channel] for channel in range(3))
    shown = red | green | blue
    if not shown.any():
        return np.ones_like(shown)
    return _between_ends(shown.any(axis=1))[:, None] & _between_ends(shown.any(axis=0))


def _between_ends(line: np.ndarray) -> np.ndarray:
    """Return True from the first to the last True of a line, bool (S,)."""
    found = np.flatnonzero(line)
    filled = np.zeros_like(line)
    filled[found[0] : found[-1] + 1] = True
    return filled
