"""Words in figures: names are data, so they may hold any characters and have any length."""

from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import RendererAgg

LINE = 1.25
"""Height of a line in units of the font's size."""


def clean(text: object) -> str:
    """Return `text` on one line, with blanks collapsed and characters that cannot be printed replaced."""
    words = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "\ufffd" for c in words) or "(no name)"


@lru_cache(maxsize=1)
def _renderer() -> "RendererAgg":
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(8, 8, 72)


@lru_cache(maxsize=65536)
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a line of text in inches; the size is in points."""
    from matplotlib.font_manager import FontProperties

    font = FontProperties(family="DejaVu Sans", size=size * 10, weight="bold" if bold else "normal")
    return _renderer().get_text_width_height_descent(text, font, ismath=False)[0] / 720


def fit(text: object, width: float, size: float, lines: int = 1, bold: bool = False) -> str:
    """Return `text` broken into at most `lines` lines of at most `width` inches.

    What is too long loses its middle, since names of arms tend to differ at either end.
    """
    whole = clean(text)
    broken = _break(whole, width, size, bold)
    kept = len(whole)
    while len(broken) > lines and kept > 2:
        # A first guess from the share of lines that fit, then step by step.
        kept = min(kept - 1, int(kept * lines / (len(broken) - 0.5)) if len(broken) > lines + 1 else kept - 1)
        tail = kept // 3
        broken = _break(f"{whole[: kept - tail].rstrip()}…{whole[len(whole) - tail :].lstrip()}", width, size, bold)
    return "\n".join(broken)


def _break(text: str, width: float, size: float, bold: bool) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if text_width(longer, size, bold) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        pieces = _pieces(word, width, size, bold)
        lines += pieces[:-1]
        line = pieces[-1]
    return [*lines, line]


def _pieces(word: str, width: float, size: float, bold: bool) -> list[str]:
    """Cut a word that is wider than a line, behind a hyphen, underscore, slash or dot where there is one."""
    pieces = []
    while len(word) > 1 and text_width(word, size, bold) > width:
        most = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or text_width(word[:n], size, bold) <= width)
        good = max((word.rfind(c, 0, most) + 1 for c in "-_/.,=+"), default=0)
        cut = good if good > most // 2 else most
        pieces.append(word[:cut])
        word = word[cut:]
    return [*pieces, word]


def number(value: object) -> float | None:
    """Return a finite float, or None for a null, a NaN or an infinity."""
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def signed(value: float, digits: int = 3) -> str:
    """Return a difference with its sign, with the typographic minus."""
    rounded = f"{value:+.{digits}f}"
    return rounded.replace("-", "\u2212") if float(rounded) else rounded[1:]


def short_value(value: object) -> str:
    """Return a setting's value as briefly as it can be written without loss of meaning: 1e-3, 0.5, cosine."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return clean("none" if value is None else value)
    plain = f"{value:g}"
    if "e" not in plain and 0 < abs(value) < 0.01:
        plain = f"{value:e}"
    mantissa, _, exponent = plain.partition("e")
    if not exponent:
        return plain
    return f"{float(mantissa):g}e{int(exponent)}"


def magnitude(value: float, _position: object = None) -> str:
    """Return a count as 950, 12k, 3.4M or 1.2G: a tick's text."""
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"
