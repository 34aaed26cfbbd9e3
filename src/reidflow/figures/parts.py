"""Shared parts of figures: a figure with its heading, forests, curves, bars, labelled points and matrices.

A drawing function takes tables and a Heading, is decorated with `drawing`, and returns a matplotlib Figure; `save` writes
its files. Every mark that carries data has a gid "<part>:<key>", or "<panel>/<part>:<key>" in axes that have a label, so
that `drawn` returns what a figure shows, in data coordinates. The gids are the ids of the marks in the SVG.
"""

import functools
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection, QuadMesh
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon, Rectangle
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

from reidflow.figures.labels import place_labels
from reidflow.figures.style import (
    BLUE,
    FAINT,
    INK,
    MARGIN,
    MARKERS,
    MUTED,
    PALE,
    SEED,
    SETTINGS,
    VERDICTS,
    VERMILLION,
    WIDTH,
    Heading,
)
from reidflow.figures.text import LINE, clean, fit, magnitude, number, signed, text_width
from reidflow.spec.errors import ReidflowError
from reidflow.store.atomic import replacing

FIGURES: dict[str, Callable[..., Figure]] = {}
"""Every drawing function that was imported: "<module>.<function>", of `analyses.<name>.figures` "<name>.<function>"."""
DASHED, DOTTED = (0, (5, 3)), (0, (1, 1.5))
ROW, AXIS = 0.27, 0.5
"""Inches: a row of a forest with a label of one line; ticks and label below an axis."""
BODY = WIDTH - 2 * MARGIN

Points = list[tuple[float, ...]]


@contextmanager
def styled() -> Iterator[None]:
    """Within it, matplotlib has the style of all figures and nothing of the user's."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def drawing(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the style of all figures, and register the function in FIGURES; its name is the gid of its figures."""
    package, _, module = function.__module__.rpartition(".")
    name = f"{package.rpartition('.')[2] if module == 'figures' else module}.{function.__name__}"

    @functools.wraps(function)
    def styled_function(*args: Any, **kwargs: Any) -> Figure:
        with styled():
            figure = function(*args, **kwargs)
        figure.set_gid(name)
        return figure

    FIGURES[name] = styled_function
    return styled_function


def new_figure(
    heading: Heading, height: float, note: str = "", rows: int = 1, columns: int = 1, **settings: Any
) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes, (rows, columns), in constrained layout between heading and note.

    height: inches between heading and note, with the labels of the axes; a legend comes on top of it. settings: those of
    `Figure.subplots` (sharex, width_ratios, ...).
    """
    title = fit(heading.title, BODY, 12, lines=3, bold=True)
    subtitle = fit(heading.subtitle, BODY, 9, lines=2) if heading.subtitle.strip() else ""
    note = fit(note, BODY, 8, lines=5) if note.strip() else ""
    above = 0.12 + _block(title, 12) + (0.05 + _block(subtitle, 9) if subtitle else 0) + 0.14
    below = (0.1 + _block(note, 8) if note else 0) + 0.1
    figure = Figure(figsize=(WIDTH, above + height + below), facecolor="white")
    FigureCanvasAgg(figure)
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.04, wspace=0.02, hspace=0.02))
    _reserve(figure, above, below)
    _write(figure, title, -0.12, size=12, weight="bold")
    _write(figure, subtitle, -(0.17 + _block(title, 12)), size=9, color=MUTED)
    _write(figure, note, below - 0.1, top=False, size=8, color=MUTED)
    if not rows * columns:
        return figure, np.empty((0, 0), dtype=object)
    return figure, figure.subplots(rows, columns, squeeze=False, **settings)


def _block(words: str, size: float) -> float:
    return (words.count("\n") + 1) * size * LINE / 72 if words else 0.0


def _reserve(figure: Figure, above: float, below: float) -> None:
    """Keep inches above and below the axes free."""
    tall = figure.get_size_inches()[1]
    figure.get_layout_engine().set(rect=(MARGIN / WIDTH, below / tall, BODY / WIDTH, 1 - (above + below) / tall))


def _write(figure: Figure, words: str, offset: float, top: bool = True, **settings: Any) -> None:
    """Write words `offset` inches from the upper or lower edge of the figure."""
    if words:
        transform = figure.transFigure + ScaledTranslation(MARGIN, offset, figure.dpi_scale_trans)
        settings = {"va": "top", "ha": "left", "linespacing": LINE, "in_layout": False, **settings}
        figure.text(0, int(top), words, transform=transform, **settings)


def placeholder(words: str, heading: Heading) -> Figure:
    """Return a figure that says in words why there is nothing to draw."""
    words = fit(words, BODY, 9, lines=4)
    height = _block(words, 9) + 0.15
    figure, _ = new_figure(heading, height, rows=0)
    figure.set_layout_engine("none")
    _write(figure, words, 0.1 + height - 0.05, top=False, size=9, color=MUTED)
    return figure


def save(figure: Figure, out: Mapping[str, str | Path]) -> None:
    """Write a figure to `out`, format (png or svg) -> file; the bytes depend on what is drawn alone."""
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    _freeze(figure)
    for kind, path in out.items():
        if kind not in metadata:
            raise ReidflowError(f"{path}: figures are written as png or svg, not as '{kind}'. Correct the output.")
        with replacing(Path(path)) as temporary, styled(), warnings.catch_warnings():
            # A character that the font lacks is a box in the PNG, and whole in the SVG.
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            figure.savefig(temporary, format=kind, metadata=metadata[kind])


def _freeze(figure: Figure) -> None:
    """Lay the figure out once, at the resolution of its PNG, and round the positions of its axes.

    The solver of constrained layout orders its variables by their addresses, so its last digits differ between processes.
    """
    with styled(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.set_dpi(SETTINGS["savefig.dpi"])
        figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(side, 6) for side in axes.get_position(original=True).bounds])


def legend(figure: Figure, handles: Mapping[str, Artist | tuple[Artist, ...]]) -> None:
    """Draw a legend (label -> handle) between the heading and the axes; the figure grows by its height."""
    if not handles:
        return
    labels = [fit(label, BODY - 0.6, 8.5) for label in handles]
    widths = [text_width(label, 8.5) + 0.5 for label in labels]
    columns = len(labels) if sum(widths) <= BODY else max(1, min(len(labels), int(BODY / (max(widths) + 0.05))))
    added = 0.21 * ceil(len(labels) / columns) + 0.08
    tall = figure.get_size_inches()[1]
    _, bottom, _, height = figure.get_layout_engine().get()["rect"]
    above = tall * (1 - bottom - height)
    figure.set_size_inches(WIDTH, tall + added)
    _reserve(figure, above + added, bottom * tall)
    figure.legend(
        list(handles.values()),
        labels,
        loc="upper left",
        bbox_to_anchor=(0, 1),
        bbox_transform=figure.transFigure + ScaledTranslation(MARGIN, -above, figure.dpi_scale_trans),
        ncols=columns,
        borderaxespad=0,
        borderpad=0,
        handletextpad=0.5,
        columnspacing=1.4,
        handlelength=1.6,
        labelcolor=MUTED,
        handler_map={tuple: HandlerTuple(ndivide=None)},
    ).set_in_layout(False)


def dot(colour: str, marker: str = "o", size: float = 5, **settings: Any) -> Line2D:
    """Return a legend's handle of a point."""
    return Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=size, **settings)


def stroke(colour: str, width: float = 1.4, **settings: Any) -> Line2D:
    """Return a legend's handle of a line."""
    return Line2D([], [], color=colour, linewidth=width, **settings)


def verdict_handles(verdicts: Sequence[str | None]) -> dict[str, Artist]:
    """Return the legend of the verdicts that occur, in the order of VERDICTS."""
    return mark_handles({verdict: (MARKERS[verdict], colour) for verdict, colour in VERDICTS.items()}, verdicts)


def mark_handles(marks: Mapping[str, tuple[str, str]], shown: Collection[str | None]) -> dict[str, Artist]:
    """Return the legend of the verdicts that are shown, in the order of `marks`: verdict -> marker and colour of its estimates."""
    return {
        verdict: stroke(colour, 1.8, marker=marker, markersize=5.5)
        for verdict, (marker, colour) in marks.items()
        if verdict in shown
    }


def margin_handles(margin: float | None) -> dict[str, Artist]:
    """Return the legend of the band that `forest` draws for a margin of equivalence; nothing where there is none."""
    return {"margin of equivalence": patch(VERDICTS["equivalent"], alpha=0.12)} if margin else {}


def gid(part: str, key: str, panel: str = "") -> str:
    """Return the gid of the mark of `key` in a part of a figure."""
    return clean(f"{panel}/{part}:{key}" if panel else f"{part}:{key}")


def mark(artist: Artist, part: str, key: str) -> Artist:
    """Give an artist that shows data its gid, with the label of its axes as the panel; return it."""
    axes = artist.axes
    artist.set_gid(gid(part, key, axes.get_label() if axes is not None else ""))
    return artist


def drawn(figure: Figure) -> dict[str, Points | str]:
    """Return gid -> what the mark shows, for all marks of a figure that carry data.

    Points and lines: their (x, y) without those that are not finite. Polygons: their corners. Rectangles: two opposite
    corners. Meshes: (column, row, value), row by row, without missing values. Texts: the words. Raises ValueError for a
    gid that occurs twice and TypeError for another kind of mark.
    """
    found: dict[str, Points | str] = {}
    for artist in figure.findobj(lambda each: ":" in (each.get_gid() or "")):
        if artist.get_gid() in found:
            raise ValueError(f"two marks have the gid {artist.get_gid()!r}. Give their axes labels.")
        found[artist.get_gid()] = artist.get_text() if isinstance(artist, Text) else _points(artist)
    return found


def _points(artist: Artist) -> Points:
    if isinstance(artist, Line2D):
        points = artist.get_xydata()
    elif isinstance(artist, PathCollection):
        points = artist.get_offsets()
    elif isinstance(artist, LineCollection):
        points = [point for segment in artist.get_segments() for point in segment]
    elif isinstance(artist, Polygon):
        points = artist.get_xy()[:-1]
    elif isinstance(artist, Rectangle):
        points = [artist.get_xy(), (artist.get_x() + artist.get_width(), artist.get_y() + artist.get_height())]
    elif isinstance(artist, QuadMesh):
        values = np.ma.filled(artist.get_array().astype(float), np.nan)
        points = [
            (x, y, value) for (y, x), value in np.ndenumerate(values.reshape(artist.get_coordinates().shape[0] - 1, -1))
        ]
    else:
        raise TypeError(
            f"{artist.get_gid()}: what a {type(artist).__name__} shows cannot be read. Draw another artist."
        )
    return [
        tuple(map(float, point))
        for point in np.ma.filled(np.ma.asarray(points, float), np.nan)
        if np.isfinite(point).all()
    ]


@dataclass(frozen=True)
class Estimate:
    """One row of a forest.

    key: of its gids. label, detail: lines of its name. value, low, high: point and interval. verdict: gives colour and
    marker. seeds: values of single seeds. reach: smallest detectable difference. text: what is printed on the right
    (None: the value with its sign, and the verdict). filled: whether the point is solid. bold: the baseline's row.
    """

    key: str
    value: float | None
    low: float | None = None
    high: float | None = None
    verdict: str | None = None
    seeds: Sequence[float | None] = ()
    reach: float | None = None
    text: str | None = None
    label: str | None = None
    detail: str = ""
    colour: str | None = None
    marker: str | None = None
    filled: bool = True
    bold: bool = False

    def words(self, missing: str) -> str:
        """Return what is printed to the right of the row."""
        if self.text is not None:
            return self.text
        value = number(self.value)
        return missing if value is None else "  ".join(filter(None, [signed(value), self.verdict]))


def row_labels(rows: Sequence[Estimate], width: float = 2.3) -> list[str]:
    """Return the labels of a forest's rows, broken into lines of at most `width` inches."""
    found = []
    for row in rows:
        label = fit(
            row.key if row.label is None else row.label, width, 8.5, lines=1 if row.detail else 2, bold=row.bold
        )
        found.append(f"{label}\n{fit(row.detail, width, 8.5)}" if row.detail else label)
    return found


def forest_height(rows: Sequence[Estimate], width: float = 2.3, least: float = ROW) -> float:
    """Return the inches of a forest's rows; ticks and label of its axis take AXIS more."""
    tall = any("\n" in label for label in row_labels(rows, width))
    return len(rows) * max(least, ROW + 0.07 if tall else ROW)


def forest(
    axes: Axes,
    rows: Sequence[Estimate],
    *,
    point: str = "delta",
    xlabel: str = "",
    reference: float | None = 0.0,
    labels: bool = True,
    width: float = 2.3,
    missing: str = "not compared",
    texts: bool = True,
    shade: bool = True,
    margin: float | None = None,
) -> None:
    """Draw a row per estimate, the first on top, at y = 0, 1, ...: point, interval, seeds, smallest detectable difference.

    point: part of the points' gids; the others are interval, seeds, reach and <point>-text. reference: where a dashed line stands.
    labels: whether the rows are named on the left. missing: printed for a row without a value. shade: whether bold rows
    have a grey background. margin: of equivalence, a band around the reference with the gid margin:all.
    """
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set_yticks(
        range(len(rows)), row_labels(rows, width) if labels else [""] * len(rows), size=8.5, color=INK, linespacing=1.05
    )
    for row, tick in zip(rows, axes.get_yticklabels(), strict=True):
        tick.set_fontweight("bold" if row.bold else "normal")
    if margin and reference is not None:
        band = {"color": VERDICTS["equivalent"], "alpha": 0.12, "linewidth": 0, "zorder": 0.4}
        mark(axes.axvspan(reference - margin, reference + margin, **band), "margin", "all")
    if reference is not None:
        axes.axvline(reference, color=INK, linewidth=0.8, linestyle=DASHED, zorder=1)
    for y, row in enumerate(rows):
        if row.bold and shade:
            axes.axhspan(y - 0.5, y + 0.5, color=PALE, zorder=0, linewidth=0)
        _estimate(axes, y, row, point)
        if texts:
            looks = {"colour": _colour(row), "bold": row.bold, "pale": number(row.value) is None and not row.bold}
            beside(axes, y, row.words(missing), row.key, f"{point}-text", **looks)
    axes.margins(x=0.06)
    low, high = axes.get_xlim()
    if high - low < 1e-3:
        axes.set_xlim(low - 0.01, high + 0.01)
    if xlabel:
        axes.set_xlabel(xlabel, labelpad=2)


def _colour(row: Estimate) -> str:
    if row.colour is not None:
        return row.colour
    return INK if row.verdict is None else VERDICTS.get(row.verdict, MUTED)


def _estimate(axes: Axes, y: float, row: Estimate, point: str) -> None:
    colour, marker = _colour(row), row.marker or MARKERS.get(row.verdict, "o")
    value, low, high, reach = map(number, (row.value, row.low, row.high, row.reach))
    seeds = [seed for seed in map(number, row.seeds) if seed is not None]
    if reach is not None:
        band = {"color": PALE, "linewidth": 8, "solid_capstyle": "butt", "zorder": 0.5}
        mark(axes.plot([-reach, reach], [y, y], **band)[0], "reach", row.key)
    if low is not None and high is not None:
        line = {"color": colour, "linewidth": 1.8, "solid_capstyle": "butt", "zorder": 3}
        mark(axes.plot([low, high], [y, y], **line)[0], "interval", row.key)
    if seeds:
        mark(axes.scatter(seeds, [y + 0.3] * len(seeds), s=9, color=SEED, linewidth=0, zorder=3), "seeds", row.key)
    if value is not None:
        face = colour if row.filled else "white"
        settings = {"facecolor": face, "edgecolor": colour, "linewidth": 1.0, "zorder": 4}
        mark(axes.scatter([value], [y], s=28, marker=marker, **settings), point, row.key)


def section(axes: Axes, title: str, remark: str = "") -> None:
    """Write a title, and a remark below it, above axes at the figure's left margin: 0.32 inches, 0.48 with a remark."""
    axes.set_title(" ", loc="left", size=9, pad=24 if remark else 12)
    place = {"xycoords": ("figure fraction", "axes fraction"), "textcoords": "offset points", "in_layout": False}
    place |= {"annotation_clip": False, "va": "baseline"}
    words = fit(title, BODY, 9, bold=True)
    axes.annotate(words, (MARGIN / WIDTH, 1), xytext=(0, 20 if remark else 8), size=9, weight="bold", **place)
    if remark:
        axes.annotate(fit(remark, BODY, 8), (MARGIN / WIDTH, 1), xytext=(0, 7), size=8, color=MUTED, **place)


def empty(axes: Axes, words: str) -> None:
    """Say in words, in the middle of axes, why they show nothing."""
    axes.set_yticks([])
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", size=8, color=MUTED)


def beside(
    axes: Axes,
    y: float,
    words: str,
    key: str,
    part: str = "text",
    colour: str = INK,
    bold: bool = False,
    pale: bool = False,
) -> None:
    """Write words to the right of a row, with the gid <part>:<key>; pale: what stands for a missing value."""
    text = axes.annotate(
        words,
        (1.0, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(7, 0),
        textcoords="offset points",
        va="center_baseline",
        size=8.5,
        color=MUTED if pale else colour,
        style="italic" if pale else "normal",
        weight="bold" if bold else "normal",
        annotation_clip=False,
    )
    mark(text, part, key)


def ticks(axes: Axes, part: str, values: Mapping[str, float | None], **settings: Any) -> None:
    """Draw a vertical tick at the value of each row (key -> value) of a forest, such as its chance level."""
    for y, (key, value) in enumerate(values.items()):
        if number(value) is not None:
            line = {"color": MUTED, "linestyle": DOTTED, "linewidth": 1.2, **settings}
            mark(axes.plot([value, value], [y - 0.5, y + 0.5], **line)[0], part, key)


def chance_ticks(axes: Axes, values: Mapping[str, float | None]) -> None:
    """Draw a solid tick at the chance of each row (key -> value) of a forest from 0 to 1 whose estimates are judged against it."""
    ticks(axes, "chance", values, color=INK, linestyle="-", linewidth=1.4)
    axes.set_xlim(0, 1)


def chance_handle() -> Line2D:
    """Return the legend's handle of `chance_ticks`."""
    return dot(INK, "|", 10)


def reference(axes: Axes, key: str, *, x: float | None = None, y: float | None = None, **settings: Any) -> None:
    """Draw a line across the axes, with the gid reference:<key>; its other coordinate is 0 to 1."""
    settings = {"color": INK, "linewidth": 0.8, "linestyle": DASHED, "zorder": 1, **settings}
    mark(axes.axvline(x, **settings) if x is not None else axes.axhline(y, **settings), "reference", key)


MANY = 20
"""From so many panels on, small multiples have five columns, and may be lower."""


def columns_for(count: int) -> int:
    """Return the number of columns that leaves the fewest cells empty, with panels that stay legible."""
    if count <= 3:
        return max(count, 1)
    choices = (2,) if count == 4 else (3, 4) if count < 10 else (4, 5) if count < MANY else (5,)
    return min(choices, key=lambda columns: (-count % columns, columns))


def small_multiples(
    heading: Heading,
    keys: Sequence[str],
    height: float | Sequence[float],
    note: str = "",
    *,
    titles: Mapping[str, str] | None = None,
    bold: str | None = None,
    xlabel: str = "",
    columns: int | None = None,
    **settings: Any,
) -> tuple[Figure, dict[str, list[Axes]]]:
    """Return a figure with a panel per key, and key -> the axes of its panel, from top to bottom.

    height: inches of a panel without its title and ticks, or of each of the axes that stand on top of each other in it.
    titles: key -> what stands above its panel, the key unless given. The key is the label of the axes, hence the panel in
    their gids. xlabel: below the last panel of each column. settings:
    sharex and sharey as for `Figure.subplots`.
    """
    heights = [height] if isinstance(height, int | float) else list(height)
    columns = columns or columns_for(len(keys))
    rows = ceil(len(keys) / columns)
    width = BODY / columns - (0.5 if settings.get("sharey") in (None, False) else 0.2)
    words = {key: fit((titles or {}).get(key, key), width, 8.5, lines=2, bold=key == bold) for key in keys}
    tall = rows * (sum(heights) + 0.24 * len(heights) + 0.1) + sum(
        0.17 * (1 + max(words[key].count("\n") for key in keys[row * columns : (row + 1) * columns]))
        for row in range(rows)
    )
    figure, grid = new_figure(
        heading,
        tall + (0.18 if xlabel else 0),
        note,
        rows * len(heights),
        columns,
        height_ratios=heights * rows,
        **settings,
    )
    found = {}
    for i, axes in enumerate(grid.reshape(rows, len(heights), columns).swapaxes(1, 2).reshape(-1, len(heights))):
        if i >= len(keys):
            for each in axes:
                each.remove()
            continue
        key = keys[i]
        for each in axes:
            each.set_label(key)
            each.tick_params(pad=2)
        axes[0].set_title(
            words[key], loc="left", size=8.5, weight="bold" if key == bold else "normal", pad=4, linespacing=1.05
        )
        if i + columns >= len(keys):
            axes[-1].xaxis.set_tick_params(labelbottom=True)
            if xlabel:
                axes[-1].set_xlabel(fit(xlabel, width, 8), labelpad=1, size=8)
        found[key] = list(axes)
    return figure, found


def curve(
    axes: Axes,
    key: str,
    x: Sequence[float],
    y: Sequence[float | None],
    low: Sequence[float | None] | None = None,
    high: Sequence[float | None] | None = None,
    *,
    part: str = "line",
    colour: str = BLUE,
    **settings: Any,
) -> None:
    """Draw a line with the gid line:<key> and, with low and high, a band:<key>; where y is missing, the line has a gap."""
    values = [np.nan if number(v) is None else float(v) for v in y]
    if low is not None and high is not None:
        kept = [
            (a, b, c) for a, b, c in zip(x, low, high, strict=True) if number(b) is not None and number(c) is not None
        ]
        corners = [(a, b) for a, b, _ in kept] + [(a, c) for a, _, c in reversed(kept)]
        if corners:
            band = Polygon(corners, closed=True, facecolor=colour, edgecolor="none", alpha=0.2, zorder=2)
            mark(axes.add_patch(band), "band", key)
            axes.update_datalim(corners)
            axes.autoscale_view()
    line = {"color": colour, "linewidth": 1.6, "zorder": 2.5, **settings}
    mark(axes.plot(x, values, **line)[0], part, key)


def bars(
    axes: Axes,
    keys: Sequence[str],
    values: Sequence[float],
    *,
    horizontal: bool = False,
    start: Sequence[float] | float = 0.0,
    width: float = 0.8,
    part: str = "bar",
    **settings: Any,
) -> None:
    """Draw a bar per key, named below (or left, the first on top), from `start` on `values` long, with the gid bar:<key>.

    The i-th bar takes `width` around i.
    """
    settings = {"color": BLUE, "linewidth": 0, **settings}
    spots, room = range(len(keys)), 2.3 if horizontal else BODY / max(len(keys), 1) / 1.3
    names = [fit(key, room, 8.5, lines=2) for key in keys]
    if horizontal:
        found = axes.barh(spots, values, width, start, **settings)
        axes.set_yticks(spots, names, size=8.5, color=INK)
        axes.set_ylim(len(keys) - 0.5, -0.5)
    else:
        found = axes.bar(spots, values, width, start, **settings)
        axes.set_xticks(spots, names, size=8.5, color=INK)
    axes.grid(visible=False, axis="y" if horizontal else "x")
    for key, bar in zip(keys, found, strict=True):
        mark(bar, part, key)


def points(
    axes: Axes, key: str, x: Sequence[float], y: Sequence[float], *, part: str = "point", **settings: Any
) -> None:
    """Draw points with the gid point:<key>."""
    mark(axes.scatter(x, y, **{"s": 30, "color": BLUE, "linewidth": 0, "zorder": 3, **settings}), part, key)


def pareto_front(x: Sequence[float], y: Sequence[float], more_is_better: bool = False) -> list[int]:
    """Return the points that no other one beats in both, from the cheapest to the dearest; y: higher is better.

    x: a cost, or with more_is_better a benefit.
    """
    sign = -1 if more_is_better else 1
    front: list[int] = []
    for i in sorted(range(len(x)), key=lambda i: (sign * x[i], -y[i])):
        if not front or y[i] > y[front[-1]]:
            front.append(i)
    return front


def cost_axis(axes: Axes, x: Sequence[float]) -> None:
    """Set scale, limits and ticks of an x axis of costs, logarithmic where they span a lot."""
    if min(x) > 0 and max(x) / min(x) > 5:
        axes.set_xscale("log")
        ratio = (max(x) / min(x)) ** 0.1
        axes.set_xlim(min(x) / ratio, max(x) * ratio)
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0,) if max(x) / min(x) > 300 else (1.0, 3.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        room = 0.1 * (max(x) - min(x))
        axes.set_xlim(min(x) - room, max(x) + room)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(magnitude))


def cost_panel(
    axes: Axes,
    keys: Sequence[str],
    x: Sequence[float],
    y: Sequence[float],
    *,
    labels: Sequence[str],
    baselines: Sequence[bool],
    more_is_better: bool = False,
    also: Sequence[float] = (),
) -> None:
    """Draw a point:<key> per arm at its cost x and its value y, with the Pareto front as front:all and labels.

    also: further values that the y axis takes in, such as the ends of intervals.
    Set the axes' labels before, and draw the legend (`front_handles`); the x axis is logarithmic where x spans a lot.
    """
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    low, high = min([*y, *also]), max([*y, *also])
    room = max(0.08 * (high - low), 0.005)
    axes.set_ylim(low - room, high + 1.4 * room)
    cost_axis(axes, x)
    front = pareto_front(x, y, more_is_better)
    line = {"color": BLUE, "linewidth": 1.1, "alpha": 0.6, "zorder": 2}
    mark(axes.plot([x[i] for i in front], [y[i] for i in front], **line)[0], "front", "all")
    for i, (key, baseline) in enumerate(zip(keys, baselines, strict=True)):
        colour = VERMILLION if baseline else BLUE if i in front else FAINT
        looks = {"color": colour, "edgecolor": BLUE if i in front else "none", "marker": "s" if baseline else "o"}
        points(axes, key, [x[i]], [y[i]], linewidth=1.0, **looks)
    label_points(axes, labels, x, y, baselines, line=front)


def front_handles(baseline: bool) -> dict[str, Artist]:
    """Return the legend of `cost_panel`."""
    handles = {
        "Pareto front": stroke(BLUE, 1.1, marker="o", markersize=5.5),
        "behind the front": dot(FAINT, size=5.5),
    }
    return handles | ({"baseline": dot(VERMILLION, "s", 5.5)} if baseline else {})


def label_points(
    axes: Axes,
    labels: Sequence[str],
    x: Sequence[float],
    y: Sequence[float],
    bold: Sequence[bool] = (),
    size: float = 8,
    line: Sequence[int] = (),
) -> None:
    """Write labels (already broken into lines) beside points where they cover no other label and no point.

    line: the points that a line joins, which labels avoid as well. Comes last: the layout and the scales of the axes must
    be known.
    """
    bold = list(bold) or [False] * len(labels)
    if axes.figure.get_layout_engine():
        axes.figure.get_layout_engine().execute(axes.figure)
    box = axes.get_window_extent()
    wide, tall = box.width / axes.figure.dpi, box.height / axes.figure.dpi
    places = axes.transAxes.inverted().transform(axes.transData.transform([*zip(x, y, strict=True)]))
    inches = [(px * wide, py * tall) for px, py in places]
    sizes = [
        (max(text_width(t, size, b) for t in w.split("\n")) + 0.04, 0.125 * (1 + w.count("\n")) + 0.02)
        for w, b in zip(labels, bold, strict=True)
    ]
    steps = np.linspace(0, 1, 16)[:, None]
    path = [
        tuple(p) for a, b in pairwise(line) for p in np.array(inches[a]) * (1 - steps) + np.array(inches[b]) * steps
    ]
    centres = place_labels(inches, sizes, wide, tall, 0.045, path)
    for (px, py), (cx, cy), words, weight, (w, h) in zip(inches, centres, labels, bold, sizes, strict=True):
        far = max(abs(cx - px) - w / 2, abs(cy - py) - h / 2) > 0.12
        if far:
            ends = ([px / wide, cx / wide], [py / tall, cy / tall])
            axes.plot(*ends, transform=axes.transAxes, color=FAINT, linewidth=0.7, zorder=1)
        axes.text(
            cx / wide,
            cy / tall,
            words,
            transform=axes.transAxes,
            ha="center",
            va="center",
            size=size,
            linespacing=1.0,
            zorder=5,
            weight="bold" if weight else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.75} if far else None,
            in_layout=False,
        )


def matrix(
    axes: Axes,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    colours: Colormap | str,
    scale: Normalize,
    text: Callable[[str, str, float], str] | None = None,
    labels: tuple[Sequence[str], Sequence[str]] | None = None,
    room: float | None = None,
    part: str = "cells",
) -> QuadMesh:
    """Draw a cell per row and column, the first row on top, coloured by its value; missing values stay white with a dot.

    The mesh has the gid cells:all, the texts cell:<row>|<column>. text: (row, column, value) -> words in the cell.
    labels: of rows and columns, the keys unless given. room: inches of a column, by default of axes that take the whole
    width; wider column labels are turned upright.
    """
    cells = np.array([[np.nan if number(v) is None else float(v) for v in row] for row in values], dtype=float)
    many = cells.size > 4000
    edges = [np.arange(n + 1) - 0.5 for n in reversed(cells.shape)]
    mesh = axes.pcolormesh(
        *edges,
        np.ma.masked_invalid(cells),
        cmap=colours,
        norm=scale,
        linewidth=0 if many else 0.6,
        edgecolor="white",
        rasterized=many,
    )
    mark(mesh, part, "all")
    names = labels or ([fit(row, 2.0, 8.5, lines=2) for row in rows], [fit(column, 1.0, 8) for column in columns])
    room = room or (BODY - 2.6) / max(len(columns), 1)
    upright = any(text_width(line, 8) > room - 0.08 for name in names[1] for line in name.split("\n"))
    axes.set_yticks(range(len(names[0])), names[0], size=8.5, color=INK, linespacing=1.05)
    axes.set_xticks(range(len(names[1])), names[1], size=8, rotation=90 if upright else 0)
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(length=0, pad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)
    gaps = np.argwhere(~np.isfinite(cells))
    axes.scatter(gaps[:, 1], gaps[:, 0], s=3, color=FAINT, linewidth=0)
    for (y, x), value in np.ndenumerate(cells):
        if text is not None and isfinite(value):
            red, green, blue, _ = mesh.to_rgba(value)
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            words = axes.text(
                x, y, text(rows[y], columns[x], value), ha="center", va="center", size=8, color="white" if dark else INK
            )
            mark(words, "cell", f"{rows[y]}|{columns[x]}")
    return mesh


def patch(colour: str, **settings: Any) -> Patch:
    """Return a legend's handle of an area."""
    return Patch(facecolor=colour, edgecolor="none", **settings)
