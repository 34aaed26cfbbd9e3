"""Parallel coordinates of a search: a line a trial through its value on every axis, down to its validation mAP.

The axes lie across the page, one below the other, so that labels of any length stand beside each other.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reidflow.analyses.search.figures.parts import METRIC, Scale, finished, limits, named, spread
from reidflow.figures.style import (
    FAINT,
    INK,
    MARGIN,
    MUTED,
    WIDTH,
    Heading,
    Out,
    Sheet,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import fit, number, text_width
from reidflow.spec.search import Axis

COLUMNS = ["study", "trial", "state", "value"]
BEST = 10
ROW, GAP, LOWER, NAMES, TICK = 0.66, 0.15, 0.5, 1.9, 7.5
NOT, ASIDE = "not searched", 0.15
"""What stands at the left of an axis, and the share of it, for trials whose study keeps the baseline's value there."""
SHADES = LinearSegmentedColormap.from_list("values", ["#f0e6b8", "#7fcdbb", "#2c7fb8", "#081d58"])
"""From pale to dark with the value, told apart with any colour vision and in print."""


def draw(trials: pl.DataFrame, axes: Sequence[Axis], heading: Heading, out: Out, baseline: float | None = None) -> None:
    """Draw the TRIALS that have a value over the axes of their space; baseline: its validation mAP."""
    need(trials, COLUMNS, "parallel coordinates")
    done, shown = finished(trials).sort("value", "study", "trial"), named(axes, trials)
    if not shown or done.is_empty():
        placeholder("No trial of this search was trained to its end.", heading, out)
        return
    most = min(BEST, len(done))
    words = [f"the best {most} trials of {len(done)}", "other trials", *(["baseline"] if _known(baseline) else [])]
    marks = [
        Line2D([], [], color=SHADES(1.0), linewidth=2),
        Line2D([], [], color=SHADES(0.4), linewidth=0.9),
        Line2D([], [], linestyle="none", marker="v", color=INK, markersize=6),
    ]
    above, gutter = legend_height(words), max(map(_across, shown)) + 0.15
    left = MARGIN + max(gutter, text_width(METRIC, 8.5) + 0.15)
    width, height = WIDTH - left - 0.3, ROW * len(shown) + GAP
    reach = limits([*done["value"], *([baseline] if _known(baseline) else [])], 0.03)
    note = (
        "Each line is a trial, read from the top down to its validation mAP, whose colour it has. Within a choice, lines "
        f"are spread so that they can be told apart. Pruned and diverged trials, not drawn: {len(trials) - len(done)}."
    )
    with sheet(heading, above + height + LOWER, out, note) as page:
        page.legend(marks[: len(words)], words)
        canvas = page.axes(left, above, width, height)
        canvas.set(xlim=(0, 1), ylim=(height / ROW, 0))
        canvas.set_axis_off()
        places = _places(done, shown, reach)
        shade = _shade(done["value"].to_numpy(), reach)
        _lines(canvas, places, done["value"].to_numpy(), shade, most, height / ROW)
        for row, axis in enumerate(shown):
            page.text(left - 0.1, above + ROW * (row + 0.25), _name(axis.name), size=8.5, ha="right", va="center")
            _axis(canvas, row + 0.25, axis, width, bool(done[axis.name].null_count()))
        page.text(left - 0.1, above + height + 0.06, METRIC, size=8.5, ha="right", va="center", weight="bold")
        _values(page, (left, above + height, width), reach, shade, baseline)


def _known(baseline: float | None) -> bool:
    return number(baseline) is not None


def _across(axis: Axis) -> float:
    return max(text_width(line, 8.5) for line in _name(axis.name).split("\n"))


def _name(name: str) -> str:
    return fit(name, NAMES, 8.5, lines=2)


def _places(done: pl.DataFrame, axes: Sequence[Axis], reach: tuple[float, float]) -> np.ndarray:
    """Return where each trial crosses each axis and, last, the values: (trials, axes + 1), between 0 and 1."""
    studies = done["study"].unique().sort().to_list()
    aside = [spread(row["trial"] + 7 * studies.index(row["study"])) for row in done.select("study", "trial").to_dicts()]
    found = np.empty((len(done), len(axes) + 1))
    for column, axis in enumerate(axes):
        scale, room = Scale(axis), ASIDE if done[axis.name].null_count() else 0.0
        for row, value in enumerate(done[axis.name]):
            place = scale.place(value)
            here = room * (0.38 + 0.25 * aside[row])
            if place is not None:
                here = room + (1 - room) * (place + 0.3 * scale.share * aside[row])
            found[row, column] = here
    found[:, -1] = (done["value"].to_numpy() - reach[0]) / (reach[1] - reach[0])
    return found


def _lines(canvas: Axes, places: np.ndarray, values: np.ndarray, shade: Normalize, most: int, end: float) -> None:
    """Draw the trials from the lowest value to the highest, so that the best lie on top."""
    heights = np.append(np.arange(places.shape[1] - 1) + 0.25, end)
    colours = SHADES(shade(values))
    best = np.arange(len(values)) >= len(values) - most
    lines = [np.column_stack([row, heights]) for row in places]
    for part, wide, alpha in ((~best, 0.8, 0.38), (best, 1.9, 0.95)):
        own = [line for line, kept in zip(lines, part, strict=True) if kept]
        canvas.add_collection(LineCollection(own, colors=colours[part], linewidths=wide, alpha=alpha, zorder=2))


def _shade(values: np.ndarray, reach: tuple[float, float]) -> Normalize:
    """Return the share of the colours that a value has. A few very poor trials must not make all others alike."""
    low = max(reach[0], float(np.quantile(values, 0.1)))
    return Normalize(low, max(reach[1], low + 1e-6), clip=True)


def _axis(canvas: Axes, height: float, axis: Axis, width: float, lacking: bool) -> None:
    room = ASIDE if lacking else 0.0
    canvas.plot([room, 1], [height, height], color=FAINT, linewidth=1.0, zorder=3)
    words = [(room + (1 - room) * place, text) for place, text in Scale(axis).words(width * (1 - room), TICK, 2)]
    if lacking:
        words.append((0.38 * room, NOT))
    for place, text in words:
        tick = axis.kind != "choice" and text != NOT
        if tick:
            canvas.plot([place, place], [height - 0.04, height + 0.04], color=MUTED, linewidth=0.9, zorder=3)
        canvas.text(
            place,
            height + (0.08 if tick else 0.05),
            text,
            size=TICK,
            ha="center",
            va="top",
            color=MUTED if text == NOT else INK,
            style="italic" if text == NOT else "normal",
            linespacing=1.0,
            zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.82},
        )


def _values(
    page: Sheet,
    place: tuple[float, float, float],
    reach: tuple[float, float],
    shade: Normalize,
    baseline: float | None,
) -> None:
    left, top, width = place
    axes = page.axes(left, top, width, 0.12)
    colours = SHADES(shade(np.linspace(*reach, 256)))[None]
    axes.imshow(colours, aspect="auto", extent=(*reach, 0, 1), zorder=1)
    axes.set(xlim=reach, ylim=(0, 1), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    if _known(baseline):
        x = (baseline - reach[0]) / (reach[1] - reach[0])
        axes.scatter([x], [1.3], s=34, marker="v", color=INK, transform=axes.transAxes, clip_on=False, zorder=6)
