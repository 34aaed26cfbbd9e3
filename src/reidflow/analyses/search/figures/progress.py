"""How far a search has come: the best validation mAP so far by trial, by optimizer step and by second of training."""

from collections.abc import Mapping

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reidflow.analyses.search.figures.parts import (
    DIVERGED,
    METRIC,
    PRUNED,
    Look,
    draw_reference,
    finished,
    lane_height,
    limits,
    looks,
    reference,
    value_axis,
    value_label,
)
from reidflow.figures.style import (
    MARGIN,
    WIDTH,
    Heading,
    Out,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import magnitude, number

COLUMNS = ["study", "state", "value", "best", "trials"]
SPENT = {
    "trials": "trials",
    "steps": "optimizer steps",
    "seconds": "seconds of training, summed over workers",
}
HEIGHT, LANE, LEFT, GAP = 2.6, 0.16, 0.72, 0.3
NOTE = (
    "Lines: best validation mAP of the trials so far, which finds luck as well as skill. Points: single trials, where they "
    "lie above the lower edge."
)
TIMED = " Seconds were measured on this machine."
LANES = " Below: {}, which have no value of their own."


def draw(progress: pl.DataFrame, heading: Heading, out: Out, baseline: float | None = None) -> None:
    """Draw what `tables.search.best_so_far` returned, a line a study. baseline: its validation mAP."""
    need(progress, COLUMNS, "progress")
    if progress["best"].null_count() == len(progress):
        placeholder("No trial of this search has a value.", heading, out)
        return
    spent = [c for c in SPENT if c in progress.columns and progress[c].null_count() < len(progress)]
    lanes = [state for state in (PRUNED, DIVERGED) if (progress["state"] == state).any()]
    found, reach = looks(progress["study"]), _reach(progress, baseline)
    marks, words = _legend(found, baseline)
    above, height = legend_height(words), HEIGHT + LANE * len(lanes)
    width = (WIDTH - LEFT - MARGIN - 0.15 - GAP * (len(spent) - 1)) / len(spent)
    names = " and ".join(f"{lane} trials" for lane in lanes)
    note = NOTE + (LANES.format(names) if lanes else "") + (TIMED if "seconds" in spent else "")
    with sheet(heading, above + 0.05 + height + 0.5, out, note) as page:
        page.legend(marks, words)
        for i, column in enumerate(spent):
            axes = page.axes(LEFT + i * (width + GAP), above + 0.05, width, height)
            value_axis(axes, reach, HEIGHT, LANE, lanes, named=i == 0)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
            axes.xaxis.set_major_formatter(FuncFormatter(magnitude))
            if i == 0:
                value_label(axes, f"best {METRIC} so far", width, height, LANE * len(lanes))
            axes.set_xlabel(SPENT[column] if width > 2.4 else SPENT[column].partition(",")[0], labelpad=2)
            draw_reference(axes, baseline)
            for place, (name, look) in enumerate(found.items()):
                own = progress.filter((pl.col("study") == name) & pl.col(column).is_not_null()).sort("trials")
                if not own.is_empty():
                    _study(axes, own, column, look, reach[0])
                    _below(axes, own, column, look, lanes, reach, place / max(len(found) - 1, 1) - 0.5)


def _reach(progress: pl.DataFrame, baseline: float | None) -> tuple[float, float]:
    """Return the ends of the values: what lies below nine tenths of the trials, and below all lines, is left out."""
    done = finished(progress)["value"]
    low = done.quantile(0.1) if len(done) else 0.0
    starts = [own["best"].drop_nulls().quantile(0.1) for own in progress.partition_by("study")]
    known = [value for value in (low, done.max(), baseline, *starts) if number(value) is not None]
    return limits(known)


def _study(axes: Axes, own: pl.DataFrame, column: str, look: Look, low: float) -> None:
    done = finished(own).filter(pl.col("value") >= low)
    axes.scatter(
        done[column], done["value"], s=7, marker=look.mark, color=look.colour, alpha=0.35, linewidth=0, zorder=2
    )
    known = own.filter(pl.col("best").is_not_null())
    line = {"color": look.colour, "linewidth": 1.5, "drawstyle": "steps-post", "zorder": 3}
    axes.plot(known[column], known["best"], **line)
    better = known.filter((pl.col("best") > pl.col("best").shift()).fill_null(True) & (pl.col("best") >= low))
    ends = pl.concat([better, known[-1:]])
    axes.scatter(ends[column], ends["best"], s=24, marker=look.mark, color=look.colour, linewidth=0, zorder=4)


def _below(
    axes: Axes,
    own: pl.DataFrame,
    column: str,
    look: Look,
    lanes: list[str],
    reach: tuple[float, float],
    aside: float,
) -> None:
    """Mark trials without a value of their own in the lane of their state, each study at a height of its own."""
    for i, lane in enumerate(lanes):
        at = own.filter(pl.col("state") == lane)[column]
        y = lane_height(reach, HEIGHT, LANE, i + 0.55 * aside)
        axes.scatter(at, [y] * len(at), s=9, marker="x", color=look.colour, linewidth=0.8, zorder=2)


def _legend(found: Mapping[str, Look], baseline: float | None) -> tuple[list, list[str]]:
    marks = [
        Line2D([], [], color=look.colour, linewidth=1.5, marker=look.mark, markersize=5) for look in found.values()
    ]
    words = [look.words for look in found.values()]
    if number(baseline) is not None:
        marks, words = [*marks, reference()], [*words, "baseline"]
    return marks, words
