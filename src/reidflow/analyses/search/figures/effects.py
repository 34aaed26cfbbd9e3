"""What the choices of a search do: the marginal effect of every choice of every axis, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reidflow.figures.style import (
    INK,
    MARGIN,
    MARKERS,
    MUTED,
    VERDICTS,
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

COLUMNS = ["pool", "axis", "label", "trials", "mean", "effect", "low", "high", "verdict"]
LINE, HEAD, GAP, FOOT = 0.2, 0.27, 0.35, 0.5
MEAN, COUNT = 0.45, 0.42
MANY = 22
"""From so many choices on, they stand in two columns."""
NOTE = (
    "Effect: by how many percentage points more of all trials a trial with the choice beats, on average, than one without. "
    "Lines: intervals corrected for the number of choices. Right: mean validation mAP and number of the trials with the "
    "choice, of {}."
)
LEGEND = {"better": "better than without", "worse": "worse than without", "inconclusive": "inconclusive"}


@dataclass(frozen=True)
class _Block:
    """An axis with its choices: `lines` of its name, rows, and the inches that all take."""

    name: str
    rows: list[dict]

    def head(self, width: float) -> str:
        return fit(self.name, width, 8.5)

    @property
    def height(self) -> float:
        return HEAD + LINE * len(self.rows)


def draw(effects: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the EFFECTS of `tables.search_effects`, axes and choices in the order of the space."""
    need_rows = effects.filter(pl.col("effect").is_not_null()) if "effect" in effects.columns else effects
    if need_rows.is_empty():
        placeholder("No study that covers the space evenly has trials enough to show what a choice does.", heading, out)
        return
    need(effects, COLUMNS, "effects")
    blocks = [_Block(own["axis"][0], own.to_dicts()) for own in effects.partition_by("axis", maintain_order=True)]
    columns = _columns(blocks)
    cell = (WIDTH - 2 * MARGIN - GAP * (len(columns) - 1)) / len(columns)
    labels = max(text_width(row["label"].replace("\n", " "), 8) for block in blocks for row in block.rows)
    gutter = min(labels + 0.2, 0.48 * cell)
    handles, words = _legend(effects)
    above = legend_height(words) + 0.14
    height = max(sum(block.height for block in column) for column in columns)
    ends = [v for row in effects.to_dicts() for v in (row["effect"], row["low"], row["high"]) if number(v) is not None]
    reach = 1.05 * max(max(map(abs, ends)), 0.01)
    pools = ", ".join(effects["pool"].unique(maintain_order=True))
    with sheet(heading, above + height + FOOT, out, NOTE.format(fit(pools, 4, 8))) as page:
        page.legend(handles, words)
        for i, column in enumerate(columns):
            left = MARGIN + i * (cell + GAP)
            tall = sum(block.height for block in column)
            axes = page.axes(left + gutter, above, cell - gutter - MEAN - COUNT, tall)
            _prepare(axes, tall, reach)
            page.text(left + cell - COUNT, above - 0.03, "mAP", size=8, color=MUTED, ha="right", va="bottom")
            page.text(left + cell, above - 0.03, "trials", size=8, color=MUTED, ha="right", va="bottom")
            top = 0.0
            for block in column:
                _block(page, axes, block, (left, above, cell, gutter), top)
                top += block.height


def _columns(blocks: Sequence[_Block]) -> list[list[_Block]]:
    """Return the blocks in one column, or in two about as tall as each other."""
    if sum(len(block.rows) for block in blocks) < MANY or len(blocks) == 1:
        return [list(blocks)]
    heights = [block.height for block in blocks]
    cut = min(range(1, len(blocks)), key=lambda n: max(sum(heights[:n]), sum(heights[n:])))
    return [list(blocks[:cut]), list(blocks[cut:])]


def _prepare(axes: Axes, tall: float, reach: float) -> None:
    axes.set(xlim=(-reach, reach), ylim=(tall, 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4, symmetric=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(_points))
    axes.axvline(0, color=INK, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
    axes.set_xlabel("effect on the standing, points", labelpad=2)


def _points(value: float, _position: object = None) -> str:
    whole = ceil(100 * value - 0.5)
    return f"+{whole}" if whole > 0 else str(whole).replace("-", "\u2212")


def _block(page: Sheet, axes: Axes, block: _Block, place: tuple[float, float, float, float], top: float) -> None:
    left, above, cell, gutter = place
    name = block.head(cell - MEAN - COUNT)
    # A name in front of the grid stays readable where it is longer than the gutter.
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    page.text(left, above + top + HEAD - 0.05, name, size=8.5, va="bottom", weight="bold", bbox=white)
    for row_number, row in enumerate(block.rows):
        y = top + HEAD + LINE * (row_number + 0.5)
        beside = {"size": 8, "va": "center_baseline"}
        page.text(left + 0.1, above + y, fit(row["label"], gutter - 0.16, 8), **beside)
        mean = number(row["mean"])
        page.text(left + cell - COUNT, above + y, "–" if mean is None else f"{mean:.3f}", ha="right", **beside)
        page.text(left + cell, above + y, str(row["trials"]), ha="right", color=MUTED, **beside)
        _effect(axes, y, row)


def _effect(axes: Axes, y: float, row: dict) -> None:
    effect, low, high = (number(row[key]) for key in ("effect", "low", "high"))
    if effect is None:
        return
    colour = VERDICTS.get(row["verdict"], MUTED)
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=colour, linewidth=1.5, solid_capstyle="butt", zorder=3)
    axes.scatter([effect], [y], s=28, marker=MARKERS.get(row["verdict"], "o"), color=colour, linewidth=0, zorder=4)


def _legend(effects: pl.DataFrame) -> tuple[list[Line2D], list[str]]:
    found = [verdict for verdict in LEGEND if (effects["verdict"] == verdict).any()]
    marks = [
        Line2D([], [], color=VERDICTS[verdict], marker=MARKERS[verdict], linewidth=1.5, markersize=5.5)
        for verdict in found
    ]
    return marks, [LEGEND[verdict] for verdict in found]
