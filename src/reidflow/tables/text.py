"""How values and names are printed: numbers that keep their sign, names that cannot break the format they stand in."""

import math
import re
import unicodedata
from typing import Any

NOTHING = "–"
NOISE = 1e-9
"""Smaller than this is rounding, not a difference."""
_JOINERS = "\u200c\u200d"
_MARKDOWN = re.compile(r"([\\`*{}\[\]<>#|~$&]|(?<![^\W_])_|_(?![^\W_]))")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "*": "{*}",
    "`": r"\textasciigrave{}",
    "-": r"{-}",
    "[": r"{[}",
    "]": r"{]}",
    NOTHING: "--",
    "±": r"$\pm$",
    "⚠": "(!)",
}


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with `digits` decimals, zero without a sign; a dash for none."""
    if value is None or math.isnan(value):
        return NOTHING
    if isinstance(value, int):
        return str(value)
    text = f"{value:.{digits}f}"
    return text if float(text) else text.removeprefix("-")


def signed(value: float | None, digits: int = 3) -> str:
    """Return a difference with its sign."""
    text = number(value, digits)
    return text if text == NOTHING or text.startswith("-") or float(text) == 0 else f"+{text}"


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """Return an interval as `[low, high]`, a dash where there is none.

    An end that would round to zero keeps two significant digits, so that the side of zero it lies on can be read.
    """
    none = low is None or high is None or math.isnan(low) or math.isnan(high)
    return NOTHING if none else f"[{_end(low, digits)}, {_end(high, digits)}]"


def _end(value: float, digits: int) -> str:
    text = signed(value, digits)
    return f"{value:+.1e}" if float(text) == 0 and abs(value) >= NOISE else text


def probability(value: float | None) -> str:
    """Return a p value; tiny ones as `<0.001`."""
    if value is None or math.isnan(value):
        return NOTHING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def visible(value: str) -> str:
    """Return a name with its control characters, and those that reorder text, written as escapes."""
    return "".join(c if _printable(c) else c.encode("unicode_escape").decode() for c in value)


def _printable(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def markdown(value: str) -> str:
    """Return a name as it may stand in a Markdown sentence or table cell."""
    return _MARKDOWN.sub(r"\\\1", visible(value))


def latex(value: str) -> str:
    """Return a name as it may stand in a LaTeX sentence or table cell."""
    return "".join(_LATEX.get(c, c) for c in visible(value))


def authored(value: str) -> str:
    """Return Markdown that a person wrote, in which HTML stands as text: its formatting stays."""
    lines = "\n".join(visible(line) for line in value.splitlines())
    return re.sub(r"<(?=[A-Za-z/!?])(?!https?://)", "&lt;", lines)


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula, or drops before it looks: OWASP, "CSV injection"."""


def csv(value: str) -> str:
    """Return a name that no spreadsheet takes for a formula: a leading `=`, `+`, `-`, `@` is prefixed with `'`."""
    return f"'{value}" if value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA) else value


def setting(value: Any) -> str:
    """Return the value of a setting on one line: a component as `name(parameter=value)`, a list in brackets."""
    if isinstance(value, dict):
        inner = ", ".join(f"{k}={setting(v)}" for k, v in value.items() if k != "name")
        name = str(value.get("name", ""))
        return f"{name}({inner})" if inner or not name else name
    if isinstance(value, list | tuple):
        return f"[{', '.join(setting(v) for v in value)}]"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)


def listed(names: list[str]) -> str:
    """Return names as a sentence lists them: `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
