"""Slices of a search: validation mAP of every trial against its value on each axis, a panel an axis."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reidflow.analyses.search.figures.parts import (
    DIVERGED,
    METRIC,
    PRUNED,
    Look,
    Scale,
    draw_reference,
    draw_winner,
    finished,
    handles,
    lane_height,
    limits,
    looks,
    named,
    reference,
    spread,
    star,
    value_axis,
    value_label,
    widest,
)
from reidflow.figures.style import (
    INK,
    MARGIN,
    MUTED,
    VERMILLION,
    WIDTH,
    Heading,
    Out,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import clean, fit, number, text_width
from reidflow.spec.search import Axis

COLUMNS = ["study", "trial", "state", "value", "winner"]
HEIGHT, LANE, LEFT, GAP, TICK = 1.45, 0.17, 0.72, 0.3, 7.5
NARROW, WIDE = 1.75, 0.95
"""Inches of a panel of numbers at least, and of a label at most."""
NOTE = (
    "One mark a trial; categories are spread sideways so that trials can be told apart. Bars: median of the trials at "
    "a choice. Trials that were pruned or diverged have no value to compare and stand below."
)


@dataclass(frozen=True)
class _Place:
    axis: Axis
    left: float
    top: float
    width: float
    first: bool


def draw(trials: pl.DataFrame, axes: Sequence[Axis], heading: Heading, out: Out, baseline: float | None = None) -> None:
    """Draw the TRIALS of all studies over the axes of their space; baseline: its validation mAP."""
    need(trials, COLUMNS, "slices")
    shown = named(axes, trials)
    done = finished(trials)
    if not shown or done.is_empty():
        placeholder("No trial of this search was trained to its end.", heading, out)
        return
    found = looks(trials["study"])
    marks, words = _legend(found, trials, baseline)
    lanes = [state for state in (PRUNED, DIVERGED) if (trials["state"] == state).any()]
    places, end = _flow(shown, legend_height(words), HEIGHT + LANE * len(lanes))
    reach = limits([*done["value"], *([baseline] if number(baseline) is not None else [])], 0.05)
    with sheet(heading, end, out, NOTE) as page:
        page.legend(marks, words)
        for place in places:
            title = fit(place.axis.name, place.width + 0.6 * GAP, 8.5)
            page.text(place.left, place.top - 0.07, title, size=8.5, va="baseline")
            axes_ = page.axes(place.left, place.top, place.width, HEIGHT + LANE * len(lanes))
            _prepare(axes_, place, reach, lanes)
            draw_reference(axes_, baseline)
            _panel(axes_, trials, place.axis, found, reach, lanes)


def _flow(axes: Sequence[Axis], above: float, height: float) -> tuple[list[_Place], float]:
    """Return a place for each axis: rows filled in their order, panels as wide as their labels ask, rows flush."""
    room = WIDTH - MARGIN - LEFT - 0.1
    rows = _rows(axes, room)
    places, top = [], above
    for row in rows:
        top += 0.26
        # A last row that is half empty keeps the scale of the others.
        stretch = min((room - GAP * (len(row) - 1)) / sum(map(_wanted, row)), 1.6 if len(rows) > 1 else 3.0)
        left = LEFT
        for axis in row:
            width = min(_wanted(axis) * stretch, room)
            places.append(_Place(axis, left, top, width, axis is row[0]))
            left += width + GAP
        lines = max(1 + words.count("\n") for p in places[-len(row) :] for _, words in _words(p))
        top += height + 0.06 + 0.125 * lines + 0.12
    return places, top


def _rows(axes: Sequence[Axis], room: float) -> list[list[Axis]]:
    """Return the axes in as few rows as hold them, and those about equally full."""
    rows = _filled(axes, room)
    for share in (0.9, 0.8, 0.7, 0.6, 0.5):
        closer = _filled(axes, share * room)
        if len(closer) > len(rows):
            break
        rows = closer
    return rows


def _filled(axes: Sequence[Axis], room: float) -> list[list[Axis]]:
    rows: list[list[Axis]] = [[]]
    for axis in axes:
        if rows[-1] and sum(map(_wanted, [*rows[-1], axis])) + GAP * len(rows[-1]) > room:
            rows.append([])
        rows[-1].append(axis)
    return rows


def _wanted(axis: Axis) -> float:
    title = min(text_width(clean(axis.name), 8.5), 2.2) - 0.6 * GAP
    if axis.kind != "choice":
        return max(NARROW, title)
    return max(1.3, title, sum(max(0.32, min(widest(label, TICK) + 0.12, WIDE)) for label in axis.labels))


def _words(place: _Place) -> list[tuple[float, str]]:
    return Scale(place.axis).words(place.width, TICK, 3)


def _prepare(axes: Axes, place: _Place, reach: tuple[float, float], lanes: list[str]) -> None:
    choice, ticks = place.axis.kind == "choice", _words(place)
    axes.set_xlim(*((0, 1) if choice else (-0.02, 1.02)))
    axes.set_xticks([p for p, _ in ticks], [w for _, w in ticks], size=TICK, linespacing=1.05)
    axes.grid(axis="x", visible=not choice)
    value_axis(axes, reach, HEIGHT, LANE, lanes, named=place.first)
    axes.tick_params(pad=2)
    if place.first:
        value_label(axes, METRIC, place.width, HEIGHT + LANE * len(lanes), LANE * len(lanes))


def _panel(
    axes: Axes,
    trials: pl.DataFrame,
    axis: Axis,
    found: dict[str, Look],
    reach: tuple[float, float],
    lanes: list[str],
) -> None:
    scale = Scale(axis)
    for index, (study, look) in enumerate(found.items()):
        rows = trials.filter(pl.col("study") == study).select([*COLUMNS, axis.name]).to_dicts()
        placed = [(scale.place(row[axis.name]), row) for row in rows]
        placed = [
            (x + 0.36 * scale.share * spread(row["trial"] + 7 * index), row) for x, row in placed if x is not None
        ]
        for lane, state in enumerate(lanes):
            x = [x for x, row in placed if row["state"] == state]
            colour = VERMILLION if state == DIVERGED else look.colour
            y = [lane_height(reach, HEIGHT, LANE, lane)] * len(x)
            axes.scatter(x, y, s=12, marker="x", color=colour, linewidth=0.8, zorder=2)
        done = [(x, row) for x, row in placed if row["state"] not in lanes and number(row["value"]) is not None]
        edge = {"linewidth": 0.3, "edgecolor": "white", "alpha": 0.75, "zorder": 3}
        x, y = [x for x, _ in done], [row["value"] for _, row in done]
        axes.scatter(x, y, s=15, marker=look.mark, color=look.colour, **edge)
        for x, row in done:
            if row["winner"]:
                draw_winner(axes, x, row["value"], look.colour)
    if axis.kind == "choice":
        _medians(axes, finished(trials), scale)


def _medians(axes: Axes, done: pl.DataFrame, scale: Scale) -> None:
    for label in scale.axis.labels:
        value = done.filter(pl.col(scale.axis.name) == label)["value"].median()
        if value is not None:
            half, middle = 0.42 * scale.share, scale.place(label)
            axes.plot([middle - half, middle + half], [value] * 2, color=INK, linewidth=1.6, alpha=0.8, zorder=4)


def _legend(found: dict[str, Look], trials: pl.DataFrame, baseline: float | None) -> tuple[list, list[str]]:
    marks, words = handles(found)
    if trials["winner"].any():
        marks, words = [*marks, star()], [*words, "winner of its study"]
    if number(baseline) is not None:
        marks, words = [*marks, reference()], [*words, "baseline"]
    if (trials["state"] == PRUNED).any():
        marks.append(Line2D([], [], linestyle="none", marker="x", color=MUTED, markersize=4))
        words.append("pruned")
    if (trials["state"] == DIVERGED).any():
        marks.append(Line2D([], [], linestyle="none", marker="x", color=VERMILLION, markersize=4))
        words.append("diverged")
    return marks, words
