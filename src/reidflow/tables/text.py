"""Formats of values and names: numbers that keep their sign, names that cannot break the text around them."""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

NOTHING = "–"
NOISE = 1e-9
"""Smaller than this is rounding, not a difference."""
_JOINERS = "\u200c\u200d"
_MARKDOWN = re.compile(r"([\\`*{}\[\]<>#|~$&]|(?<![^\W_])_|_(?![^\W_]))")
_SENTENCE_END = re.compile(r"(?<=[.!?:)])\n(?=[^\s>|#*+-])(?!\d+[.)] )")
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


def extent(value: float, low: float, high: float, digits: int = 3) -> str:
    """Return the size of a difference with its interval, turned to the side of the difference: `0.202 [0.081, 0.322]`."""
    ends = (low, high) if value >= 0 else (-high, -low)
    return f"{number(abs(value), digits)} [{', '.join(_end(end, digits).removeprefix('+') for end in ends)}]"


def spread(value: float | None, deviation: float | None) -> str:
    """Return a mean with the standard deviation around it, as `0.512 ± 0.014`; the mean alone where that is unknown."""
    return number(value) if value is None or deviation is None else f"{number(value)} ± {number(deviation)}"


def estimate(value: float | None, low: float | None, high: float | None) -> str:
    """Return a value with its interval, both with two decimals, as `0.83 [0.71, 0.92]`; the value alone without one."""
    ends = "" if low is None or high is None else f" [{number(low, 2)}, {number(high, 2)}]"
    return f"{number(value, 2)}{ends}"


def probability(value: float | None) -> str:
    """Return a p value; tiny ones as `<0.001`."""
    if value is None or math.isnan(value):
        return NOTHING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def yes_no(value: bool | None) -> str:
    """Return a yes-or-no value as a word."""
    return NOTHING if value is None else "yes" if value else "no"


def share(value: float | None, digits: int = 0) -> str:
    """Return a share as a percentage."""
    return NOTHING if value is None else f"{value:.{digits}%}"


def share_interval(low: float | None, high: float | None) -> str:
    """Return an interval of a share as `[12%, 34%]`, a dash where there is none."""
    return NOTHING if low is None or high is None else f"[{share(low)}, {share(high)}]"


def points(value: float | None) -> str:
    """Return a difference of shares in percentage points, with its sign and one decimal."""
    return NOTHING if value is None else signed(100 * value, 1)


def interval_points(low: float | None, high: float | None) -> str:
    """Return an interval of a difference of shares in percentage points."""
    return NOTHING if low is None or high is None else interval(100 * low, 100 * high, 1)


def count(value: float | None) -> str:
    """Return a count with thousands set apart; a mean of counts with one decimal where it is not whole."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def magnitude(value: float | None) -> str:
    """Return a number whose size is unknown in three significant digits."""
    return NOTHING if value is None else f"{value:.3g}"


def numbers(values: Iterable[float | None] | None, digits: int = 3) -> str:
    """Return several numbers on one line."""
    return NOTHING if values is None else " ".join(number(value, digits) for value in values)


def between(low: float | None, high: float | None, digits: int = 3) -> str:
    """Return the ends of a range on one line."""
    return NOTHING if low is None or high is None else f"{number(low, digits)} to {number(high, digits)}"


def plain(value: Any) -> str:
    """Return text as it is; a dash for none."""
    return NOTHING if value is None else str(value)


def grid(points: Sequence[Mapping[str, Any]] | None) -> str:
    """Return the mean validation score at every grid point on one line."""
    return NOTHING if points is None else "; ".join(f"{p['point']}: {number(p['val_id_map'])}" for p in points)


def near_best(near: int | None, points: Sequence[Any] | None) -> str:
    """Return how many points of a grid lie near the best one, and of how many."""
    return NOTHING if near is None or points is None else f"{near} of {len(points)}"


def of_total(part: float | None, total: float | None) -> str:
    """Return a count with the total that it is part of, as `3 of 5`."""
    return NOTHING if part is None or total is None else f"{count(part)} of {count(total)}"


def visible(value: str) -> str:
    """Return a name with its control characters, and those that reorder text, written as escapes."""
    return "".join(c if _printable(c) else c.encode("unicode_escape").decode() for c in value)


def _printable(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def one_line(value: str) -> str:
    """Return text on one line, with blanks collapsed, for a page."""
    return visible(" ".join(value.split()))


def markdown(value: str) -> str:
    """Return a name escaped for a Markdown sentence or table cell."""
    return _MARKDOWN.sub(r"\\\1", visible(value))


def latex(value: str) -> str:
    """Return a name escaped for a LaTeX sentence or table cell."""
    return "".join(_LATEX.get(c, c) for c in visible(value))


def authored(value: str) -> str:
    """Return Markdown that a person wrote, with HTML escaped, its formatting and its paragraphs kept.

    A folded text of YAML has single line breaks where its author left blank lines: without any blank line, each line
    break after a sentence ends a paragraph.
    """
    lines = "\n".join(visible(line) for line in value.splitlines())
    if "\n\n" not in lines:
        lines = _SENTENCE_END.sub("\n\n", lines)
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


def ranking_words(ranking: Mapping[str, Any]) -> str:
    """Return a plain ranking in words: `embedding and rootsift (lnbnn), calibrated (logistic), shortlist of 100`."""
    scores = ranking["scores"]
    names = [score if isinstance(score, str) else _local_words(score) for score in scores]
    how = {"calibrated": f"calibrated ({ranking['calibration']})", "sum": "z-scores added", "rank": "ranks added"}
    short = f"shortlist of {ranking['shortlist']}" if ranking["shortlist"] else "all candidates"
    weights = f"weights {', '.join(f'{weight:g}' for weight in ranking['weights'])}" if ranking["weights"] else ""
    several = [how[ranking["fusion"]], weights, short] if len(scores) > 1 else []
    return ", ".join(filter(None, [listed(names), *several]))


def _local_words(score: Mapping[str, Any]) -> str:
    inner = {key: value for key, value in score["matcher"].items() if key != "name"}
    return f"{score['matcher']['name']} ({', '.join(filter(None, [setting(score['compare']), setting(inner)]))})"


def chosen(value: Any) -> str:
    """Return the value of a setting; a dash where there is none."""
    return NOTHING if value is None else setting(value)


def listed(names: Iterable[str]) -> str:
    """Return names as a sentence lists them: `a, b and c`."""
    names = list(names)
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def bold(name: str) -> str:
    """Return a name in bold Markdown."""
    return f"**{markdown(name)}**"


def bold_names(names: Iterable[str], most: int | None = None) -> str:
    """Return names in bold Markdown as a sentence lists them.

    most: of more names than these only the first are given, and the number of the others: `**a**, **b** and 7 more`.
    """
    shown = list(map(bold, names))
    if most is not None and len(shown) > most + 1:
        shown = [*shown[:most], f"{len(shown) - most} more"]
    return listed(shown)


def plural(value: int, noun: str, nouns: str = "") -> str:
    """Return a count with its noun: `1 image`, `2,000 images`. nouns: the plural, where it does not end in `s`."""
    return f"{count(value)} {noun if value == 1 else nouns or f'{noun}s'}"


def p_value(value: float | None) -> str:
    """Return a p value as a sentence gives it: `p = 0.012`, `p <0.001`."""
    text = probability(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


FORMATS: dict[str, Callable[..., str]] = {
    "text": plain,
    "prose": plain,
    "verdict": plain,
    "setting": chosen,
    "yes_no": yes_no,
    "number": number,
    "number1": partial(number, digits=1),
    "number2": partial(number, digits=2),
    "numbers": numbers,
    "signed": signed,
    "signed1": partial(signed, digits=1),
    "signed2": partial(signed, digits=2),
    "spread": spread,
    "estimate": estimate,
    "interval": interval,
    "interval1": partial(interval, digits=1),
    "interval2": partial(interval, digits=2),
    "interval_share": share_interval,
    "interval_points": interval_points,
    "points": points,
    "range": between,
    "range0": partial(between, digits=0),
    "range1": partial(between, digits=1),
    "range2": partial(between, digits=2),
    "share": share,
    "share1": partial(share, digits=1),
    "count": count,
    "of_total": of_total,
    "probability": probability,
    "magnitude": magnitude,
    "seconds": partial(number, digits=2),
    "grid": grid,
    "near_best": near_best,
}
"""How the cells of a column are printed, by the format's name: the values of the column's fields -> plain text."""
WORDS = frozenset({"text", "prose", "verdict", "setting", "yes_no", "grid"})
"""Formats that print words, which are aligned to the left."""
