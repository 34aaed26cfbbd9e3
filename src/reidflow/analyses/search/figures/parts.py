"""What the figures of a search share: the looks of studies, and where the values of an axis stand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, log10

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator

from reidflow.figures.style import BLUE, FAINT, GREEN, INK, MUTED, ORANGE, PURPLE, SEED, SKY
from reidflow.figures.text import clean, fit, number, short_value, text_width
from reidflow.spec.search import Axis

COMPLETE, PRUNED, DIVERGED = "complete", "pruned", "diverged"
COLOURS = [BLUE, ORANGE, GREEN, PURPLE, SKY, SEED]
MARKS = ["o", "^", "D", "v", ">", "<"]
METRIC = "validation mAP"
DASHES = (0, (5, 3))
GOLDEN = 0.6180339887498949
MANTISSAS = [(1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)]


@dataclass(frozen=True)
class Look:
    """How a study is drawn, and what the legend calls it."""

    colour: str
    mark: str
    words: str


def looks(studies: Iterable[str]) -> dict[str, Look]:
    """Return the look of each study, in their order: never two alike among the first 36."""
    found = {}
    for i, name in enumerate(dict.fromkeys(studies)):
        mark = MARKS[(i + i // len(COLOURS)) % len(MARKS)]
        found[name] = Look(COLOURS[i % len(COLOURS)], mark, fit(name, 2.4, 8.5))
    return found


def handles(found: dict[str, Look]) -> tuple[list[Line2D], list[str]]:
    """Return handles and labels of the studies' points."""
    marks = [Line2D([], [], linestyle="none", marker=o.mark, color=o.colour, markersize=5) for o in found.values()]
    return marks, [look.words for look in found.values()]


def star(colour: str = "white", size: float = 10) -> Line2D:
    """Return the legend's mark of a study's winner."""
    settings = {"markeredgecolor": INK, "markeredgewidth": 0.9}
    return Line2D([], [], linestyle="none", marker="*", color=colour, markersize=size, **settings)


def draw_winner(axes: Axes, x: float, y: float, colour: str) -> None:
    """Draw a study's winner."""
    axes.scatter([x], [y], s=110, marker="*", color=colour, edgecolor=INK, linewidth=0.9, zorder=6, clip_on=False)


def draw_reference(axes: Axes, baseline: float | None) -> None:
    """Draw the baseline's validation mAP as a line across."""
    if number(baseline) is not None:
        axes.axhline(baseline, color=INK, linewidth=0.9, linestyle=DASHES, zorder=1.5)


def reference() -> Line2D:
    """Return the legend's mark of `draw_reference`."""
    return Line2D([], [], color=INK, linewidth=0.9, linestyle=DASHES)


def limits(values: Sequence[float], share: float = 0.06, least: float = 0.005) -> tuple[float, float]:
    """Return the ends of an axis with a margin around finite values."""
    finite = [value for value in values if isfinite(value)]
    if not finite:
        return 0.0, 1.0
    room = max(share * (max(finite) - min(finite)), least)
    return min(finite) - room, max(finite) + room


def value_axis(
    axes: Axes, reach: tuple[float, float], height: float, lane: float, lanes: list[str], named: bool
) -> None:
    """Prepare y for validation mAP within `reach`, `height` inches, above a lane of `lane` inches for each of `lanes`.

    named: whether the ticks are labelled.
    """
    low, high = reach
    step = (high - low) * lane / height
    axes.set_ylim(low - step * len(lanes), high)
    values = [v for v in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high) if v <= high]
    values = [v for v in values if v >= low + 0.4 * step * bool(lanes)]
    below = [lane_height(reach, height, lane, i) for i in range(len(lanes))]
    words = [*alike(values), *lanes]
    axes.set_yticks([*values, *below], words if named else [""] * len(words), size=8)
    for line in axes.yaxis.get_gridlines()[len(values) :]:
        line.set_visible(False)
    if lanes:
        axes.axhline(low, color=FAINT, linewidth=0.8, zorder=1)


def lane_height(reach: tuple[float, float], height: float, lane: float, index: float) -> float:
    """Return where the middle of a lane stands on the axis of `value_axis`."""
    return reach[0] - (reach[1] - reach[0]) * lane / height * (index + 0.5)


def value_label(axes: Axes, words: str, width: float, height: float, below: float) -> None:
    """Name y beside its values; width, height: inches of the panel, `below` of them lanes."""
    middle = (below + (height - below) / 2) / height
    side = {"ha": "center", "va": "center", "size": 8.5, "color": MUTED, "rotation": 90}
    axes.text(-0.5 / width, middle, words, transform=axes.transAxes, **side)


def alike(values: Sequence[float]) -> list[str]:
    """Return ticks' numbers, all with as many decimals as the one that needs most."""
    digits = max((len(f"{v:.4g}".partition(".")[2]) for v in values), default=0)
    return [f"{v:.{digits}f}".replace("-", "\u2212") for v in values]


def finished(trials: pl.DataFrame) -> pl.DataFrame:
    """Return the trials with a value that training reached: neither pruned nor diverged."""
    return trials.filter((pl.col("state") == COMPLETE) & pl.col("value").is_finite())


def spread(index: int) -> float:
    """Return a place in [-1, 1) for the index-th of several marks that would cover each other, the same every time."""
    return 2 * ((index * GOLDEN) % 1.0) - 1


def broken(label: str, width: float, size: float, lines: int) -> str:
    """Return a label in lines, broken before the parameters of a component rather than within."""
    whole = clean(label)
    return whole if text_width(whole, size) <= width else fit(whole.replace("(", " ("), width, size, lines)


def widest(label: str, size: float) -> float:
    """Return the inches that a label needs at least, to be broken between words alone."""
    return max(text_width(word, size) for word in clean(label).replace("(", " (").split(" "))


@dataclass(frozen=True)
class Scale:
    """Where the values of an axis stand between 0 and 1: each label in the middle of its share, numbers by size."""

    axis: Axis

    @property
    def share(self) -> float:
        """Width of a label's share; 0 for numbers."""
        return 1 / len(self.axis.labels) if self.axis.kind == "choice" else 0.0

    def place(self, value: object) -> float | None:
        """Return the place of a value, None where it has none."""
        if self.axis.kind == "choice":
            known = None if value is None else str(value)
            return (self.axis.labels.index(known) + 0.5) * self.share if known in self.axis.labels else None
        found = number(value)
        if found is None or (self.axis.log and found <= 0):
            return None
        low, high, here = (log10(v) if self.axis.log else v for v in (self.axis.low, self.axis.high, found))
        return (here - low) / (high - low)

    def ticks(self, width: float, size: float) -> list[tuple[float, str]]:
        """Return (place, words) of the numbers written along `width` inches, as many as leave room between them."""
        found: list[tuple[float, str]] = []
        for values in self._candidates():
            inside = [v for v in values if self.axis.low * (1 - 1e-9) <= v <= self.axis.high * (1 + 1e-9)]
            found = [(self.place(v), short_value(v)) for v in inside]
            if len(found) > 1 and self._apart(found, width, size):
                return found
        ends = (self.axis.low, self.axis.high)
        return [(self.place(v), short_value(float(f"{v:.3g}"))) for v in ends]

    def _candidates(self) -> Iterable[list[float]]:
        low, high = self.axis.low, self.axis.high
        if self.axis.log and high / low >= 8:
            for mantissas in MANTISSAS:
                yield [float(f"{v:.6g}") for v in LogLocator(10, subs=mantissas, numticks=99).tick_values(low, high)]
        whole = self.axis.kind == "int"
        for most in (6, 5, 4, 3, 2):
            yield [float(v) for v in MaxNLocator(most, integer=whole, steps=[1, 2, 5, 10]).tick_values(low, high)]

    @staticmethod
    def _apart(ticks: list[tuple[float, str]], width: float, size: float) -> bool:
        ends = [(p * width - text_width(w, size) / 2, p * width + text_width(w, size) / 2) for p, w in ticks]
        return all(b[0] - a[1] > 0.12 for a, b in pairwise(ends))

    def words(self, width: float, size: float, lines: int) -> list[tuple[float, str]]:
        """Return (place, words) of what is written along `width` inches: labels broken into lines, or numbers."""
        if self.axis.kind != "choice":
            return self.ticks(width, size)
        room = max(width * self.share - 0.06, 0.2)
        return [(self.place(label), broken(label, room, size, lines)) for label in self.axis.labels]


def named(axes: Sequence[Axis], trials: pl.DataFrame) -> list[Axis]:
    """Return the axes that are columns of the table and that any trial has a value of."""
    return [a for a in axes if a.name in trials.columns and trials[a.name].null_count() < len(trials)]
